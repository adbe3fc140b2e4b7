// Every frame as it was received, with its outcome.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Page } from "../data/api";
import { get } from "../data/api";
import { size, time } from "../lib/format";
import { useAnswer, useShared } from "../lib/hooks";
import { Choice, Notice, Select, Trouble } from "../lib/components";
import { addressOf } from "./card";

const REFRESH_SECONDS = 10;
const PAGE_SIZE = 50;
const OUTCOMES = [
  ["", "All"],
  ["rejected", "Rejected"],
  ["noted", "Noted"],
  ["duplicate", "Duplicate"],
  ["stored", "Stored"],
] as const;

interface Event {
  id: string;
  topic: string;
  device_id: string | null;
  timestamp: string;
  payload: string;
  type: string | null;
  outcome: string;
  reason: string | null;
  detail: string | null;
  left_out: Record<string, string>;
}

export function EventsView({ query }: { query: string }): JSX.Element {
  const { types } = useShared();
  const given = new URLSearchParams(query);
  const [outcome, setOutcome] = useState(given.get("outcome") ?? "rejected");
  const [type, setType] = useState("");
  const [device, setDevice] = useState(given.get("device_id") ?? "");
  const [page, setPage] = useState(1);
  const answer = useAnswer(
    (signal) =>
      get<Page<Event>>(
        "/api/telemetry/events/",
        {
          outcome: outcome || undefined,
          type: type || undefined,
          device_id: device.trim() || undefined,
          page,
          page_size: PAGE_SIZE,
        },
        signal,
      ),
    [outcome, type, device, page],
    page === 1 ? REFRESH_SECONDS : 0,
  );
  const change = <T,>(set: (value: T) => void) => (value: T): void => {
    set(value);
    setPage(1);
  };
  const events = answer.data?.results ?? [];
  return (
    <>
      <h1 tabIndex={-1}>Events</h1>
      <p class="sub">Every frame received and its outcome, newest first.</p>
      <div class="bar">
        <Choice label="Outcome" options={OUTCOMES} value={outcome as ""} onChange={change(setOutcome)} />
        <Select
          label="Type"
          value={type}
          onChange={change(setType)}
          options={[["", "All types"] as const, ...types.map((other) => [other.name, other.title] as const)]}
        />
        <label class="field search">
          <span>Device</span>
          <input type="search" value={device} onChange={(event) => change(setDevice)(event.currentTarget.value)} />
        </label>
      </div>
      <Trouble error={answer.error} what="Events" />
      {answer.data && !events.length && <Notice>{`No ${outcome && `${outcome} `}frames${type || device.trim() ? " match" : ""}.`}</Notice>}
      <ul class="events" aria-busy={answer.loading}>
        {events.map((event) => (
          <li key={event.id}>
            <details>
              <summary>
                <time dateTime={event.timestamp}>{time(event.timestamp)}</time>
                <span class={`tag ${event.outcome}`}>{event.outcome}</span>
                <span class="who">{event.device_id ?? event.topic}</span>
                <span class="why">{event.detail ?? event.reason ?? leftOut(event)}</span>
              </summary>
              <dl class="facts">
                <div>
                  <dt>Topic</dt>
                  <dd>{event.topic}</dd>
                </div>
                <div>
                  <dt>Type</dt>
                  <dd>{event.type ?? "not matched by any plugin"}</dd>
                </div>
                {event.reason && (
                  <div>
                    <dt>Reason</dt>
                    <dd>{event.reason}</dd>
                  </div>
                )}
                <div>
                  <dt>Frame</dt>
                  <dd>{size(event.payload)}</dd>
                </div>
                {event.type && event.device_id && (
                  <div>
                    <dt>Device</dt>
                    <dd>
                      <a href={addressOf(event.type, event.device_id)}>{event.device_id}</a>
                    </dd>
                  </div>
                )}
              </dl>
              {leftOut(event) && <p class="sub">Ignored values: {leftOut(event)}</p>}
              <pre tabIndex={0}>{event.payload}</pre>
            </details>
          </li>
        ))}
      </ul>
      {(page > 1 || answer.data?.next) && (
        <div class="bar pages">
          <button type="button" disabled={page === 1} onClick={() => setPage(page - 1)}>
            Newer
          </button>
          <span>Page {page}</span>
          <button type="button" disabled={!answer.data?.next} onClick={() => setPage(page + 1)}>
            Older
          </button>
        </div>
      )}
    </>
  );
}

function leftOut(event: Event): string {
  return Object.entries(event.left_out ?? {})
    .map(([name, why]) => `${name}: ${why}`)
    .join(", ");
}
