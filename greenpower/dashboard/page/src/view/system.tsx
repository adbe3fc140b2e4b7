// Health of the services, and for administrators the state of the rollups.

import type { JSX } from "preact";

import { get } from "../data/api";
import { role } from "../data/session";
import { number, span, time } from "../lib/format";
import { useAnswer, useShared } from "../lib/hooks";
import { Age, Notice, Trouble } from "../lib/components";

const REFRESH_SECONDS = 10;

interface Health {
  status: string | number;
  message?: string;
  parts: Record<string, { status: string; detail: string; milliseconds: number }>;
}

interface Progress {
  type: string;
  prefix: string;
  resolution: string;
  watermark: string | null;
  behind_seconds: number | null;
  left_alone: number;
  ran_at: string | null;
  error: string;
}

export function SystemView(): JSX.Element {
  const health = useAnswer((signal) => get<Health>("/api/health/", {}, signal), [], REFRESH_SECONDS);
  const parts = Object.entries(health.data?.parts ?? {});
  const down = parts.filter(([, part]) => part.status !== "ok");
  return (
    <>
      <h1 tabIndex={-1}>System</h1>
      <section aria-labelledby="health" class="panel">
        <h2 id="health">Health</h2>
        <Trouble error={health.error} what="Health" />
        {health.data && (
          <Notice kind={down.length ? "bad" : "good"}>
            {down.length ? `Not healthy: ${down.map(([name]) => name).join(", ")}.` : "All services are healthy."}
          </Notice>
        )}
        <ul class="parts">
          {parts.map(([name, part]) => (
            <li key={name} class={part.status}>
              <span class="dot" aria-hidden="true" />
              <strong>{name}</strong>
              <span>{part.status === "ok" ? "OK" : part.status}</span>
              <span class="sub">{part.detail || `${number(part.milliseconds)} ms`}</span>
            </li>
          ))}
        </ul>
      </section>
      {role() === "admin" ? <Rollups /> : <Notice>Administrators see the state of the rollups here.</Notice>}
    </>
  );
}

function Rollups(): JSX.Element {
  const { types } = useShared();
  const answer = useAnswer((signal) => get<{ results: Progress[] }>("/api/rollups/", {}, signal), [], REFRESH_SECONDS);
  return (
    <section aria-labelledby="rollups" class="panel">
      <h2 id="rollups">Rollups</h2>
      <Trouble error={answer.error} what="Rollups" />
      <div class="scroll" tabIndex={0} role="region" aria-label="Rollups table">
        <table>
          <thead>
            <tr>
              <th scope="col">Data type</th>
              <th scope="col">Tier</th>
              <th scope="col">Behind</th>
              <th scope="col">Computed up to</th>
              <th scope="col">Last run</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {answer.data?.results.map((tier) => (
              <tr key={tier.type + tier.prefix} data-tier={`${tier.type} ${tier.resolution}`} data-state={stateOf(tier)}>
                <th scope="row">{types.find((type) => type.name === tier.type)?.title ?? tier.type}</th>
                <td>{tier.resolution === "raw" ? `${tier.prefix.replace(/_/g, " ")}copies` : tier.resolution}</td>
                <td>{tier.behind_seconds === null ? "–" : span(tier.behind_seconds)}</td>
                <td>{tier.watermark ? time(tier.watermark) : "–"}</td>
                <td>
                  <Age stamp={tier.ran_at} />
                </td>
                <td>
                  <span class={`tag ${tier.error ? "rejected" : tier.watermark ? "stored" : ""}`}>{stateOf(tier)}</span> {tier.error}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function stateOf(tier: Progress): string {
  if (tier.error) return "failed";
  return tier.watermark ? "OK" : "not started";
}
