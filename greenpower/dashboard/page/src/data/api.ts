// Asking the REST API, and the shapes of its answers.

import { token } from "./session";

export interface Field {
  name: string;
  title: string;
  unit: string;
  quantity: string;
  kind: string;
}

export interface Tier {
  prefix: string;
  resolution: string;
  retention_seconds: number;
}

export type Value = number | boolean | string;

export interface Parameter {
  name: string;
  title: string;
  kind: "integer" | "boolean" | "text";
  unit: string;
  low: number | null;
  high: number | null;
  choices: Value[];
}

export interface Command {
  name: string;
  title: string;
  role: string;
  interlock: boolean;
  parameters: Parameter[];
}

export interface DataType {
  name: string;
  title: string;
  path: string | null;
  stale_after: number;
  open: boolean;
  fields: Field[];
  resolutions: string[];
  tiers: Tier[];
  commands: Command[];
}

export interface Row {
  id: string | null;
  topic: string | null;
  device_id: string;
  timestamp: string;
  payload: Record<string, number>;
  final?: boolean;
  stats?: Record<string, { n: number; min?: number; max?: number }>;
}

export interface Page<T> {
  count: number | null;
  next: string | null;
  resolution?: string;
  results: T[];
}

export interface Device {
  id: number;
  device_id: string;
  name: string;
  types: string[];
  timezone: string | null;
  interval_seconds: number | null;
  zone: { id: number; name: string } | null;
  status: string;
  status_since: string | null;
  last_heard: string | null;
  last_reading: string | null;
}

export type Parameters = Record<string, string | number | boolean | undefined>;

export class Problem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  const response = await asked(query.size ? `${path}?${query}` : path, { signal: signal ?? null });
  const body = await response.json().catch(() => null);
  // What is down is told in full, so health comes with a 503.
  if (!response.ok && !(response.status === 503 && body?.parts)) {
    throw new Problem(response.status, body?.message ?? `The server answers ${response.status}.`);
  }
  return body as T;
}

// A request that changes something. What its 2xx answer holds, and which of them it is.
export async function send<T>(method: string, path: string, content: unknown): Promise<{ status: number; body: T }> {
  const headers = { "Content-Type": "application/json" };
  const response = await asked(path, { method, headers, body: JSON.stringify(content) });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, body?.message ?? `The server answers ${response.status}.`);
  return { status: response.status, body: body as T };
}

// The answer to a request, with a token that is renewed where it has run out.
async function asked(address: string, request: RequestInit): Promise<Response> {
  const access = await token();
  const response = await ask(address, access, request);
  if (response.status !== 401 || !access) return response;
  const renewed = await token(access);
  return renewed ? ask(address, renewed, request) : response;
}

async function ask(address: string, access: string | null, request: RequestInit): Promise<Response> {
  try {
    const headers = { ...request.headers, ...(access ? { Authorization: `Bearer ${access}` } : {}) };
    return await fetch(address, { ...request, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "The server cannot be reached.");
  }
}

// All entries of a list that goes on with a link, up to a number of pages.
export async function all<T>(
  path: string,
  parameters: Parameters,
  pages: number,
  signal?: AbortSignal,
): Promise<Page<T>> {
  const first = await get<Page<T>>(path, parameters, signal);
  let next = first.next;
  for (let page = 1; next && page < pages; page++) {
    const query = Object.fromEntries(new URL(next, location.href).searchParams);
    const more = await get<Page<T>>(path, query, signal);
    first.results.push(...more.results);
    next = more.next;
  }
  return { ...first, next };
}
