// Energy that a register counted, per hour, day or month in the user's time zone, and how sure it is.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import type { DataType, Field } from "../data/api";
import { get } from "../data/api";
import { ZONE, capital, exact, number, span, time, unit } from "../lib/format";
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
  silence_s: number;
  undecided: boolean;
  // There only where a correction has changed the number.
  corrected?: boolean;
  estimated?: boolean;
  corrections?: string[];
}

interface NamedCorrection {
  id: string;
  kind: string;
  begin: string;
  end: string | null;
  reason: string;
  made_by: string;
  made_at: string;
}

interface Consumption {
  unit: string;
  total: number | null;
  final: boolean;
  undecided: boolean;
  results: Stretch[];
  corrections?: NamedCorrection[];
}

const UNDECIDED = "energy is left out until an incident is decided";
const CHANGING = "may still change";
const ESTIMATED = "includes an estimate";
const CORRECTED = "corrected by hand";
const COMPUTING_SECONDS = 3;
// What is corrected is computed again within minutes; after that the ordinary refresh does.
const COMPUTING_MS = 300_000;

interface Props {
  type: DataType;
  device: string;
  counters: Field[];
  // Changes when something was corrected on this page.
  round: number;
}

export function EnergyPanel({ type, device, counters, round }: Props): JSX.Element {
  const [bucket, setBucket] = useState<Bucket>("day");
  const [name, setName] = useState(counters[0]!.name);
  const field = counters.find((counter) => counter.name === name) ?? counters[0]!;
  const [picked, setPicked] = useState<number | null>(null);
  // Until when what was corrected is waited for; 0: nothing is.
  const [waiting, setWaiting] = useState(0);
  useEffect(() => setWaiting(round ? Date.now() + COMPUTING_MS : 0), [round]);
  const answer = useAnswer(
    (signal) =>
      get<Consumption>(`${type.path}consumption/`, { bucket, tz: ZONE, device_id: device, field: field.name }, signal).then((found) => {
        const over = found.results.every((stretch) => stretch.final || Date.parse(stretch.end) > Date.now());
        if (waiting && (over || Date.now() > waiting)) setWaiting(0);
        return found;
      }),
    [type, device, bucket, field.name, round, waiting > 0],
    waiting ? COMPUTING_SECONDS : REFRESH_SECONDS,
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
      <p class="sub computing" role="status">
        {waiting > 0 && "Corrected energy is being computed again …"}
      </p>
      {answer.data && shown && (
        <>
          <p class="reading" aria-live="polite">
            <span>{labelOf(shown, bucket, true)}</span> <strong>{amountOf(shown.energy, answer.data.unit)}</strong>
            {notesOf(shown).map((note) => (
              <span key={note} class="note">
                {note}
              </span>
            ))}
          </p>
          <p class="sub total">{totalOf(answer.data, bucket)}</p>
          <Bars stretches={stretches} bucket={bucket} unitName={unit(answer.data.unit)} at={at} onPick={setPicked} />
          <Keys stretches={stretches} />
          <Reasons corrections={(answer.data.corrections ?? []).filter(({ id }) => shown.corrections?.includes(id))} />
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
  const energies = stretches.map((stretch) => stretch.energy ?? 0);
  // What a net register fed in is below zero.
  const least = Math.min(...energies, 0);
  const most = Math.max(...energies, 0) || (least ? 0 : 1);
  const percent = (energy: number): number => (100 * energy) / (most - least);
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
        {least < 0 && <span class="zero" style={{ bottom: `${percent(-least)}%` }} aria-hidden="true" />}
        {stretches.map((stretch, place) => (
          <div
            key={stretch.bucket}
            class={`column ${place === at ? "at" : ""} ${stretch.undecided ? "undecided" : ""}`}
            data-bucket={stretch.bucket}
            data-energy={stretch.energy ?? ""}
            data-silence={stretch.silence_s}
            title={[labelOf(stretch, bucket, true), amountOf(stretch.energy, unitName), ...notesOf(stretch)].join("\n")}
            onPointerEnter={() => onPick(place)}
            onClick={() => onPick(place)}
          >
            <div
              class={["amount", ...(energies[place]! < 0 ? ["below"] : []), ...kindsOf(stretch)].join(" ")}
              style={{
                height: `${percent(Math.abs(energies[place]!))}%`,
                bottom: `${percent(Math.min(energies[place]!, 0) - least)}%`,
              }}
            />
          </div>
        ))}
      </div>
      {least < 0 && <span class="most" aria-hidden="true">{`${number(least)} ${unitName}`}</span>}
      <div class="labels" aria-hidden="true">
        {stretches.map(
          (stretch, place) => place % every === 0 && <span key={stretch.bucket} style={{ flexGrow: String(every) }}>{labelOf(stretch, bucket, false)}</span>,
        )}
      </div>
    </div>
  );
}

// What the bars that are shown look like, where they are not plain.
function Keys({ stretches }: { stretches: Stretch[] }): JSX.Element | null {
  const silent = stretches.some((stretch) => stretch.silence_s > 0);
  const open = stretches.some((stretch) => !stretch.final);
  const undecided = stretches.some((stretch) => stretch.undecided);
  const corrected = stretches.some((stretch) => stretch.corrected);
  const estimated = stretches.some((stretch) => stretch.estimated);
  if (!silent && !open && !undecided && !corrected && !estimated) return null;
  return (
    <ul class="keys sub">
      {silent && (
        <li>
          <span class="key amount silent" aria-hidden="true" />
          includes the energy of a silence
        </li>
      )}
      {open && (
        <li>
          <span class="key amount open" aria-hidden="true" />
          {CHANGING}
        </li>
      )}
      {corrected && (
        <li>
          <span class="key amount corrected" aria-hidden="true" />
          {CORRECTED}
        </li>
      )}
      {estimated && (
        <li>
          <span class="key amount estimated" aria-hidden="true" />
          {ESTIMATED}
        </li>
      )}
      {undecided && (
        <li>
          <span class="undecided-mark" aria-hidden="true">
            !
          </span>
          {UNDECIDED}
        </li>
      )}
    </ul>
  );
}

// Why the number of a period is not what was counted.
function Reasons({ corrections }: { corrections: NamedCorrection[] }): JSX.Element | null {
  if (!corrections.length) return null;
  return (
    <ul class="sub reasons">
      {corrections.map(({ id, kind, reason, made_by, made_at }) => (
        <li key={id}>{`${capital(kind)}: ${reason} (${made_by}, ${time(made_at)})`}</li>
      ))}
    </ul>
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
              <th scope="col">Notes</th>
            </tr>
          </thead>
          <tbody>
            {[...stretches].reverse().map((stretch) => (
              <tr key={stretch.bucket}>
                <th scope="row">{labelOf(stretch, bucket, true)}</th>
                <td>{exact(stretch.energy)}</td>
                <td>{stretch.samples}</td>
                <td>{notesOf(stretch).join("; ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function amountOf(energy: number | null, unitName: string): string {
  return energy === null ? "no readings" : `${exact(energy)} ${unit(unitName)}`;
}

function totalOf(data: Consumption, bucket: Bucket): string {
  const notes = [...(data.undecided ? [UNDECIDED] : []), ...(data.final ? [] : [CHANGING])];
  const total = `Total of the last ${data.results.length} ${bucket}s: ${amountOf(data.total, data.unit)}`;
  return notes.length ? `${total} (${notes.join("; ")})` : total;
}

// What to know about the number of a period.
function notesOf(stretch: Stretch): string[] {
  const notes: string[] = [];
  if (Date.parse(stretch.end) > Date.now()) notes.push("so far");
  else if (!stretch.final) notes.push(CHANGING);
  if (stretch.silence_s > 0) notes.push(`includes the energy of ${span(stretch.silence_s)} of silence`);
  if (stretch.undecided) notes.push(UNDECIDED);
  if (stretch.estimated) notes.push(ESTIMATED);
  else if (stretch.corrected) notes.push(CORRECTED);
  return notes;
}

function kindsOf(stretch: Stretch): string[] {
  if (stretch.energy === null) return ["unknown"];
  const corrected = stretch.estimated ? ["estimated"] : stretch.corrected ? ["corrected"] : [];
  return [...(stretch.silence_s > 0 ? ["silent"] : []), ...(stretch.final ? [] : ["open"]), ...corrected];
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
