// Energy that a register counted, per hour, day or month in the user's time zone.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { DataType, Field } from "../data/api";
import { get } from "../data/api";
import { ZONE, capital, exact, number, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Choice, Notice, Select, Trouble } from "../lib/components";

const REFRESH_SECONDS = 60;
const AXIS_LABELS = 8;
const BUCKETS = [
  ["hour", "Hours"],
  ["day", "Days"],
  ["month", "Months"],
] as const;
type Bucket = (typeof BUCKETS)[number][0];

interface Stretch {
  bucket: string;
  start: string;
  end: string;
  energy: number | null;
  samples: number;
  final: boolean;
}

interface Consumption {
  unit: string;
  total: number | null;
  results: Stretch[];
  moved?: unknown[];
}

interface Props {
  type: DataType;
  device: string;
  counters: Field[];
}

export function EnergyPanel({ type, device, counters }: Props): JSX.Element {
  const [bucket, setBucket] = useState<Bucket>("day");
  const [name, setName] = useState(counters[0]!.name);
  const field = counters.find((counter) => counter.name === name) ?? counters[0]!;
  const [picked, setPicked] = useState<number | null>(null);
  const answer = useAnswer(
    (signal) =>
      get<Consumption>(`${type.path}consumption/`, { bucket, tz: ZONE, device_id: device, field: field.name }, signal),
    [type, device, bucket, field.name],
    REFRESH_SECONDS,
  );
  const stretches = answer.data?.results ?? [];
  const missing = answer.error?.status === 404;
  const at = picked !== null && picked < stretches.length ? picked : stretches.length - 1;
  const shown = stretches[at];
  return (
    <section aria-labelledby="energy" class="panel">
      <div class="head">
        <h2 id="energy">Energy</h2>
        <p class="sub">Time zone: {ZONE.replace(/_/g, " ")}</p>
      </div>
      <div class="bar">
        <Choice
          label="Energy by"
          options={BUCKETS}
          value={bucket}
          onChange={(value) => {
            setBucket(value);
            setPicked(null);
          }}
        />
        {counters.length > 1 && (
          <Select
            label="Register"
            value={field.name}
            onChange={setName}
            options={counters.map((counter) => [counter.name, capital(counter.title)] as const)}
          />
        )}
      </div>
      {missing ? (
        <Notice>Energy totals are not available.</Notice>
      ) : (
        <Trouble error={answer.error} what="Energy" />
      )}
      {answer.data && shown && (
        <>
          <p class="reading">
            <span>
              {labelOf(shown, bucket, true)}
              {!shown.final && " (so far)"}
            </span>{" "}
            <strong>
              {exact(shown.energy)} {unit(answer.data.unit)}
            </strong>
            <span class="sub">
              {" "}
              {`Total of the last ${stretches.length} ${bucket}s: ${exact(answer.data.total)} ${unit(answer.data.unit)}`}
            </span>
          </p>
          <Bars stretches={stretches} bucket={bucket} unitName={unit(answer.data.unit)} at={at} onPick={setPicked} />
          <EnergyTable stretches={stretches} bucket={bucket} unitName={unit(answer.data.unit)} />
        </>
      )}
    </section>
  );
}

interface BarsProps {
  stretches: Stretch[];
  bucket: Bucket;
  unitName: string;
  at: number;
  onPick: (index: number | null) => void;
}

function Bars({ stretches, bucket, unitName, at, onPick }: BarsProps): JSX.Element {
  const most = Math.max(...stretches.map((stretch) => stretch.energy ?? 0), 0) || 1;
  const every = Math.ceil(stretches.length / AXIS_LABELS);
  const move = (event: KeyboardEvent): void => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    onPick(Math.min(stretches.length - 1, Math.max(0, at + by)));
  };
  return (
    <div
      class="bars"
      role="group"
      tabIndex={0}
      aria-label="Energy as a bar chart. Use the arrow keys to move between bars."
      onKeyDown={move}
      onPointerLeave={() => onPick(null)}
    >
      <span class="most" aria-hidden="true">{`${number(most)} ${unitName}`}</span>
      <div class="columns">
        {stretches.map((stretch, place) => (
          <div
            key={stretch.bucket}
            class={`column ${place === at ? "at" : ""}`}
            data-bucket={stretch.bucket}
            data-energy={stretch.energy ?? ""}
            onPointerEnter={() => onPick(place)}
            onClick={() => onPick(place)}
          >
            <div
              class={`amount ${stretch.final ? "" : "open"} ${stretch.energy === null ? "unknown" : ""}`}
              style={{ height: `${(100 * Math.max(0, stretch.energy ?? 0)) / most}%` }}
            />
          </div>
        ))}
      </div>
      <div class="labels" aria-hidden="true">
        {stretches.map(
          (stretch, place) => place % every === 0 && <span key={stretch.bucket} style={{ flexGrow: String(every) }}>{labelOf(stretch, bucket, false)}</span>,
        )}
      </div>
    </div>
  );
}

function EnergyTable({ stretches, bucket, unitName }: Omit<BarsProps, "at" | "onPick">): JSX.Element {
  return (
    <details class="table">
      <summary>Show as table</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Energy table">
        <table>
          <thead>
            <tr>
              <th scope="col">{capital(bucket)}</th>
              <th scope="col">Energy, {unitName}</th>
              <th scope="col">Readings</th>
            </tr>
          </thead>
          <tbody>
            {[...stretches].reverse().map((stretch) => (
              <tr key={stretch.bucket}>
                <th scope="row">
                  {labelOf(stretch, bucket, true)}
                  {!stretch.final && " (so far)"}
                </th>
                <td>{exact(stretch.energy)}</td>
                <td>{stretch.samples}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

// The name of a period. Its start is in the local time of the answer, whatever zone this browser has.
function labelOf(stretch: Stretch, bucket: Bucket, long: boolean): string {
  const [year = 0, month = 1, day = 1] = stretch.start.slice(0, 10).split("-").map(Number);
  const local = new Date(year, month - 1, day);
  if (bucket === "month") return local.toLocaleDateString("en-GB", { month: long ? "long" : "short", year: long ? "numeric" : "2-digit" });
  const date = local.toLocaleDateString("en-GB", { weekday: long ? "short" : undefined, day: "numeric", month: "short" });
  if (bucket === "day") return date;
  const hour = stretch.start.slice(11, 16);
  return long ? `${date}, ${hour}` : hour === "00:00" ? date : hour;
}
