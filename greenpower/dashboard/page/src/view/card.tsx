// A device in the overview. Its data type decides which values it shows.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";

import type { DataType, Device } from "../data/api";
import { codeNames, headline, isRegister } from "../data/catalogue";
import { keyOf } from "../data/realtime";
import { capital, exact, number, unit } from "../lib/format";
import { useDevice, useShared, useVisible } from "../lib/hooks";
import { Age, StatusBadge, statusOf } from "../lib/components";
import { Sparkline } from "./sparkline";

interface Props {
  type: DataType;
  id: string;
  device: Device | undefined;
  withType: boolean;
}

export function addressOf(type: string, id: string): string {
  return `#/device/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
}

export function Card({ type, id, device, withType }: Props): JSX.Element {
  const { live } = useShared();
  // Only visible cards are updated: there may be hundreds.
  const place = useRef<HTMLLIElement>(null);
  const visible = useVisible(place);
  useDevice(type.name, id, visible);
  const reading = live.readings.get(keyOf(type.name, id));
  const status = statusOf(live, type.name, id, device?.status);
  const heard = live.statuses.get(keyOf(type.name, id))?.last_heard ?? device?.last_heard;
  const [first, ...rest] = reading ? headline(type, Object.keys(reading.payload)) : [];
  const shown = useRef<[string, number] | null>(null);
  const value = first && reading?.payload[first.name];
  // Flashes the value once when it changes.
  const flash = (shown.current?.[1] ?? 0) + (shown.current && shown.current[0] !== String(value) ? 1 : 0);
  shown.current = [String(value), flash];
  return (
    <li class="card" ref={place}>
      <div class="top">
        <h3>
          <a href={addressOf(type.name, id)}>{device?.name || id}</a>
        </h3>
        <StatusBadge status={status} />
      </div>
      <p class="sub">
        {[device?.name ? id : "", withType ? type.title : (device?.zone?.name ?? "")].filter(Boolean).join(" · ")}
      </p>
      {first && reading ? (
        <>
          <div class="lead">
            <p>
              <span class="label">{capital(first.title)}</span>
              <strong key={flash} class={flash ? "flash" : ""} data-field={first.name}>
                {first.kind === "enumeration" ? codeNames(first, value) : isRegister(first) ? exact(value) : number(value)}
                <small> {unit(first.unit)}</small>
              </strong>
            </p>
            <Sparkline value={value} stamp={reading.timestamp} />
          </div>
          <dl>
            {rest.map((field) => (
              <div key={field.name}>
                <dt title={capital(field.title)}>{capital(field.title)}</dt>
                <dd data-field={field.name}>
                  {field.kind === "enumeration"
                    ? codeNames(field, reading.payload[field.name])
                    : `${number(reading.payload[field.name])} ${unit(field.unit)}`}
                </dd>
              </div>
            ))}
          </dl>
        </>
      ) : (
        <p class="none">No readings yet</p>
      )}
      <p class="foot">
        {reading ? (
          <>
            Last reading {visible && <Age stamp={reading.timestamp} />}
          </>
        ) : (
          <>
            Last message {visible && <Age stamp={heard} />}
          </>
        )}
      </p>
    </li>
  );
}
