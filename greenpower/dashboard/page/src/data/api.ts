// Requests to the REST API, and the shapes of its answers.

import { token } from "./session";

export interface Field {
  name: string;
  title: string;
  unit: string;
  quantity: string;
  kind: string;
  // Names of an enumeration's values by code, with bits by number of the bit; empty for other kinds.
  codes: Record<string, string>;
  bits: boolean;
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
  replaces: string | null;
  replaced_by: string | null;
  last_heard: string | null;
  last_reading: string | null;
}

export type Parameters = Record<string, string | number | boolean | undefined>;

// A request that failed. status: of the answer, 0 where there was none. temporary: the same request may work later.
// errors: what is wrong with the values of the body or the query, by name.
export class Problem extends Error {
  readonly status: number;
  readonly errors: Errors;

  constructor(status: number, message: string, errors: Errors = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }

  // All that is wrong, as one text.
  get text(): string {
    return texts(this.errors).join(" ") || this.message;
  }

  get temporary(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

export type Errors = string | string[] | { [name: string]: Errors };

function texts(errors: Errors): string[] {
  return typeof errors === "string" ? [errors] : Object.values(errors).flatMap(texts);
}

// What is wrong with one value, by its path. In the answer the values of a map are one level deeper, under `value`.
export function errorAt(problem: Problem | null, ...path: string[]): string {
  let found: Errors | undefined = problem?.errors;
  for (const name of path) {
    if (!found || typeof found === "string" || Array.isArray(found)) return "";
    const deeper: Errors | undefined = found["value"];
    found = found[name] ?? (deeper && typeof deeper === "object" && !Array.isArray(deeper) ? deeper[name] : undefined);
  }
  return found ? texts(found).join(" ") : "";
}

interface Refused {
  message?: string;
  errors?: { json?: Errors; query?: Errors };
}

function failed(status: number, body: Refused | null): Problem {
  const text = status >= 500 ? `Server unavailable (${status})` : `Request failed (${status})`;
  return new Problem(status, body?.message ?? text, body?.errors?.json ?? body?.errors?.query ?? {});
}

export async function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  const response = await asked(query.size ? `${path}?${query}` : path, { signal: signal ?? null });
  const body = await response.json().catch(() => null);
  // The health report comes with status 503 when a service is down.
  if (!response.ok && !(response.status === 503 && body?.parts)) {
    throw failed(response.status, body);
  }
  return body as T;
}

// A request that changes something. Returns the status and body of its 2xx answer.
export async function send<T>(method: string, path: string, content?: unknown): Promise<{ status: number; body: T }> {
  const headers = { "Content-Type": "application/json" };
  const sent = content === undefined ? { method } : { method, headers, body: JSON.stringify(content) };
  const response = await asked(path, sent);
  const body = await response.json().catch(() => null);
  if (!response.ok) throw failed(response.status, body);
  return { status: response.status, body: body as T };
}

// The answer to a request. An expired token is renewed first.
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
    throw new Problem(0, "Cannot reach the server");
  }
}

// All entries of a paged list, up to a number of pages.
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
