// One device: current values, history, energy, register incidents, commands, status history.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import type { DataType, Device, Field, Page } from "../data/api";
import { get } from "../data/api";
import { fieldsIn, hasEnergy, headline, textOf } from "../data/catalogue";
import { keyOf } from "../data/realtime";
import { mayOperate } from "../data/session";
import { capital, span, time } from "../lib/format";
import { useAnswer, useDevice, useShared } from "../lib/hooks";
import { Age, Notice, StatusBadge, Trouble, statusOf } from "../lib/components";
import { addressOf } from "./card";
import { CommandPanel } from "./commands";
import { CorrectionPanel } from "./corrections";
import { EnergyPanel } from "./energy";
import { ExchangePanel } from "./exchange";
import { HistoryPanel } from "./history";
import { IncidentPanel } from "./incidents";
import { PresencePanel } from "./presence";

const FIRST_VALUES = 12;
const REFRESH_SECONDS = 20;

interface Props {
  type: string;
  device: string;
  query: string;
}

export function DeviceView({ type, device, query }: Props): JSX.Element {
  const found = useShared().types.find((other) => other.name === type && other.path);
  return found ? <Known type={found} device={device} query={query} /> : <NotFound what={`data type ${type}`} />;
}

function NotFound({ what }: { what: string }): JSX.Element {
  return (
    <>
      <h1 tabIndex={-1}>Not found</h1>
      <Notice kind="bad">{`Unknown ${what}`}</Notice>
      <p>
        <a href="#/">All devices</a>
      </p>
    </>
  );
}

function Known({ type, device, query }: { type: DataType; device: string; query: string }): JSX.Element {
  const { types, live } = useShared();
  useDevice(type.name, device);
  useEffect(() => live.watch(type.name, device), [live, type, device]);
  const registry = useAnswer(
    (signal) => get<Page<Device>>("/api/devices/", { device_id: device }, signal),
    [device],
    REFRESH_SECONDS,
  );
  const registered = registry.data?.results[0];
  // Counts what was corrected on this page: its panels look again, and wait for what is computed again.
  const [round, setRound] = useState(0);
  const [exchangeAt, setExchangeAt] = useState<string | null>(null);
  const touched = (): void => setRound((old) => old + 1);
  const reading = live.readings.get(keyOf(type.name, device));
  const told = live.statuses.get(keyOf(type.name, device));
  const names = Object.keys(reading?.payload ?? {}).sort().join();
  const fields = useMemo(() => fieldsIn(type, names ? names.split(",") : []), [type, names]);
  const first = headline(type, fields.map((field) => field.name)).map((field) => fields.find((other) => other.name === field.name)!);
  const counters = fields.filter((field) => hasEnergy(field) && field.unit);
  const others = types.filter((other) => other.path && other !== type && registered?.types.includes(other.name));
  return (
    <>
      <p class="back">
        <a href="#/">← All devices</a>
      </p>
      <div class="title">
        <h1 tabIndex={-1}>{registered?.name || device}</h1>
        <StatusBadge status={statusOf(live, type.name, device, registered?.status)} />
      </div>
      <dl class="facts">
        <Fact name="Type">{type.title}</Fact>
        <Fact name="ID">{device}</Fact>
        {registered?.zone && <Fact name="Zone">{registered.zone.name}</Fact>}
        <Fact name="Last reading">
          <Age stamp={reading?.timestamp ?? registered?.last_reading} />
        </Fact>
        <Fact name="Last message">
          <Age stamp={newest(told?.last_heard, registered?.last_heard, reading?.timestamp)} />
        </Fact>
        {registered?.interval_seconds && <Fact name="Sends every">{span(registered.interval_seconds)}</Fact>}
        {registered?.replaces && (
          <Fact name="Replaces">
            <a href={addressOf(type.name, registered.replaces)}>{registered.replaces}</a>
          </Fact>
        )}
        {registered?.replaced_by && (
          <Fact name="Replaced by">
            <a href={addressOf(type.name, registered.replaced_by)}>{registered.replaced_by}</a>
          </Fact>
        )}
        {others.length > 0 && (
          <Fact name="Also sends">
            {others.map((other) => (
              <a key={other.name} href={addressOf(other.name, device)}>
                {other.title}
              </a>
            ))}
          </Fact>
        )}
      </dl>
      <Trouble error={registry.error} what="Device" />
      {reading ? (
        <>
          <NowPanel fields={[...first, ...fields.filter((field) => !first.includes(field))]} payload={reading.payload} stamp={reading.timestamp} />
          <HistoryPanel type={type} device={device} fields={fields} query={query} />
          {counters.length > 0 && <EnergyPanel type={type} device={device} counters={counters} round={round} />}
          {counters.length > 0 && (
            <IncidentPanel
              type={type}
              device={device}
              id={registered?.id}
              round={round}
              onChange={touched}
              onExchange={setExchangeAt}
            />
          )}
          {counters.length > 0 && registered && (
            <ExchangePanel
              id={registered.id}
              device={device}
              suggested={exchangeAt}
              onClose={() => setExchangeAt(null)}
              onChange={touched}
            />
          )}
          {registered && fields.length > 0 && (
            <CorrectionPanel
              type={type}
              device={device}
              id={registered.id}
              fields={fields}
              counters={counters}
              round={round}
              onChange={touched}
            />
          )}
        </>
      ) : (
        <Notice>No readings yet.</Notice>
      )}
      {registered && type.commands.length > 0 && mayOperate() && (
        <CommandPanel commands={type.commands} id={registered.id} />
      )}
      {registered && <PresencePanel id={registered.id} />}
    </>
  );
}

function newest(...stamps: (string | number | null | undefined)[]): number | null {
  const times = stamps.filter((stamp) => stamp !== null && stamp !== undefined).map((stamp) => new Date(stamp!).getTime());
  return times.length ? Math.max(...times) : null;
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface NowProps {
  fields: Field[];
  payload: Record<string, number>;
  stamp: number;
}

function NowPanel({ fields, payload, stamp }: NowProps): JSX.Element {
  const [all, setAll] = useState(false);
  const shown = all ? fields : fields.slice(0, FIRST_VALUES);
  return (
    <section aria-labelledby="now" class="panel">
      <div class="head">
        <h2 id="now">Current values</h2>
        <p class="sub">{time(stamp)}</p>
      </div>
      <dl class="values">
        {shown.map((field) => (
          <div key={field.name}>
            <dt title={field.name}>{capital(field.title)}</dt>
            <dd data-field={field.name}>{shownAs(field, payload[field.name])}</dd>
          </div>
        ))}
      </dl>
      {fields.length > FIRST_VALUES && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show all ${fields.length} values`}
        </button>
      )}
    </section>
  );
}

function shownAs(field: Field, value: number | undefined): string {
  if (field.kind === "state" && field.unit === "s") return value ? time(value * 1000) : "–";
  return textOf(field, value);
}
