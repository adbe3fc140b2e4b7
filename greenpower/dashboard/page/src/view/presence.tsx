// When a device went online and offline.

import type { JSX } from "preact";

import type { Page } from "../data/api";
import { get } from "../data/api";
import { time } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, StatusBadge, Trouble } from "../lib/components";

const REFRESH_SECONDS = 30;
const SHOWN_CHANGES = 10;

interface Change {
  status: string;
  at: string;
}

export function PresencePanel({ id }: { id: number }): JSX.Element {
  const answer = useAnswer(
    (signal) => get<Page<Change>>(`/api/devices/${id}/status-history/`, { page_size: SHOWN_CHANGES }, signal),
    [id],
    REFRESH_SECONDS,
  );
  const changes = answer.data?.results ?? [];
  return (
    <section aria-labelledby="presence" class="panel">
      <h2 id="presence">Status history</h2>
      <Trouble error={answer.error} what="Status history" />
      {answer.data && !changes.length && <Notice>No status changes recorded.</Notice>}
      {changes.length > 0 && (
        <ul class="changes">
          {changes.map((change) => (
            <li key={change.at}>
              <StatusBadge status={change.status} /> <time dateTime={change.at}>{time(change.at)}</time>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
