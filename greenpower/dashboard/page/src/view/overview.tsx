// All devices, by type or by zone.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import type { DataType, Device } from "../data/api";
import { all } from "../data/api";
import { keyOf } from "../data/realtime";
import { useAnswer, useShared } from "../lib/hooks";
import { Choice, Notice, Select, Trouble, statusOf } from "../lib/components";
import { Card } from "./card";

const REFRESH_SECONDS = 20;
const NO_ZONE = "No zone";

interface Entry {
  type: DataType;
  id: string;
  device: Device | undefined;
}

export function Overview(): JSX.Element {
  const { types, live } = useShared();
  const [by, setBy] = useState<"type" | "zone">("type");
  const [wanted, setWanted] = useState<"all" | "online" | "offline">("all");
  const [text, setText] = useState("");
  const [round, setRound] = useState(0);
  const registry = useAnswer((signal) => all<Device>("/api/devices/", { page_size: 500 }, 20, signal), [], REFRESH_SECONDS);
  useEffect(() => live.onDevices(() => setRound((old) => old + 1)), [live]);
  useEffect(() => {
    const ends = types.filter((type) => type.path).map((type) => live.watch(type.name, "*"));
    return () => ends.forEach((end) => end());
  }, [live, types]);

  const entries = useMemo(
    () => gather(types, registry.data?.results ?? [], [...live.readings.keys(), ...live.statuses.keys()]),
    [types, registry.data, round],
  );
  const status = (entry: Entry): string => statusOf(live, entry.type.name, entry.id, entry.device?.status);
  const counts = { all: entries.length, online: 0, offline: 0 };
  for (const entry of entries) {
    const now = status(entry);
    if (now === "online" || now === "offline") counts[now] += 1;
  }
  const sought = text.trim().toLowerCase();
  const shown = entries.filter(
    (entry) =>
      (wanted === "all" || status(entry) === wanted) &&
      (!sought || `${entry.id} ${entry.device?.name ?? ""} ${entry.device?.zone?.name ?? ""}`.toLowerCase().includes(sought)),
  );
  const groups = group(shown, by);
  return (
    <>
      <h1 tabIndex={-1}>Devices</h1>
      <div class="bar">
        <Choice
          label="Status"
          value={wanted}
          onChange={setWanted}
          options={[
            ["all", `All ${counts.all}`],
            ["online", `Online ${counts.online}`],
            ["offline", `Offline ${counts.offline}`],
          ]}
        />
        <label class="field search">
          <span>Search</span>
          <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <Select
          label="Group by"
          value={by}
          onChange={setBy}
          options={[
            ["type", "Type"],
            ["zone", "Zone"],
          ]}
        />
      </div>
      <Trouble error={registry.error} what="Device list" />
      {!entries.length && !registry.loading && (
        <Notice>
          No devices have reported yet. To connect one, let it publish to the MQTT broker, or connect its gateway to the
          TCP port (6000 unless TCP_PORT is set). To try it without devices, run <code>greenpower simulate</code>.
        </Notice>
      )}
      {entries.length > 0 && !shown.length && <Notice>No devices match.</Notice>}
      {groups.map(([name, members]) => (
        <section key={name} aria-label={name}>
          <h2>
            {name} <span class="count">{members.length}</span>
          </h2>
          <ul class="cards">
            {members.map((entry) => (
              <Card key={keyOf(entry.type.name, entry.id)} {...entry} withType={by === "zone"} />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function gather(types: DataType[], devices: Device[], heard: string[]): Entry[] {
  const byName = new Map(types.map((type) => [type.name, type]));
  const byId = new Map(devices.map((device) => [device.device_id, device]));
  const keys = new Set(heard);
  for (const device of devices) for (const type of device.types) keys.add(keyOf(type, device.device_id));
  const entries: Entry[] = [];
  for (const key of keys) {
    const [name = "", ...rest] = key.split("/");
    const type = byName.get(name);
    const id = rest.join("/");
    if (type?.path) entries.push({ type, id, device: byId.get(id) });
  }
  return entries.sort((one, other) => label(one).localeCompare(label(other), "en", { numeric: true }));
}

function label(entry: Entry): string {
  return entry.device?.name || entry.id;
}

function group(entries: Entry[], by: "type" | "zone"): [string, Entry[]][] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = by === "type" ? entry.type.title : (entry.device?.zone?.name ?? NO_ZONE);
    const there = groups.get(name);
    if (there) there.push(entry);
    else groups.set(name, [entry]);
  }
  const last = (name: string): number => (name === NO_ZONE ? 1 : 0);
  return [...groups].sort(([one], [other]) => last(one) - last(other) || one.localeCompare(other));
}
