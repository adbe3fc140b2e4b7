// The values of a chart as a table: for people who cannot see the chart, and for copying.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Field, Row } from "../data/api";
import { capital, exact, time, unit } from "../lib/format";

const TABLE_ROWS = 200;

export function Table({ rows, fields }: { rows: Row[]; fields: Field[] }): JSX.Element {
  const [open, setOpen] = useState(false);
  const newest = open ? rows.slice(-TABLE_ROWS).reverse() : [];
  return (
    <details class="table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as table</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of values">
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {fields.map((field) => (
                <th key={field.name} scope="col">{`${capital(field.title)} ${unit(field.unit)}`}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {newest.map((row) => (
              <tr key={row.timestamp}>
                <th scope="row">
                  {time(row.timestamp)}
                  {row.final === false && " (provisional)"}
                </th>
                {fields.map((field) => (
                  <td key={field.name}>{exact(row.payload[field.name])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > TABLE_ROWS && <p class="sub">{`The newest ${TABLE_ROWS} of ${rows.length} rows.`}</p>}
    </details>
  );
}
