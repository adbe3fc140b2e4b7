// The bill of a month as a TypeScript program writes it that knows the API only by its generated types. It is compiled
// with all strictness, and run by none: the Python one is.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Consumption = components["schemas"]["Consumption"];

export async function bill(address: string, key: string, devices: string[]): Promise<Map<string, number | null>> {
  const client = createClient<paths>({ baseUrl: address, headers: { "X-API-Key": key } });
  const found = new Map<string, number | null>();
  for (const device of devices) {
    const { data, error } = await client.GET("/api/telemetry/eny-now-data/consumption/", {
      params: { query: { bucket: "month", tz: "Asia/Dhaka", device_id: [device], field: "zygsz" } },
    });
    if (error !== undefined) throw new Error(`${device}: ${error.message}`);
    const answer: Consumption = data;
    found.set(device, answer.total);
  }
  return found;
}

export async function zones(address: string, key: string): Promise<(string | null)[]> {
  const client = createClient<paths>({ baseUrl: address, headers: { "X-API-Key": key } });
  const { data, error } = await client.GET("/api/devices/", {});
  if (error !== undefined) throw new Error(error.message);
  return data.results.map((device) => device.zone?.name ?? null);
}
