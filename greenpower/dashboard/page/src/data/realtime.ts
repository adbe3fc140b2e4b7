// Live values and statuses: from the Socket.IO gateway, or from the REST API every few seconds while the gateway is
// unavailable. Views listen per device, and changes are delivered in small portions, so that hundreds of devices never
// block the page.

import type { Socket } from "socket.io-client";
import { io } from "socket.io-client";

import type { DataType, Row } from "./api";
import { all } from "./api";
import { token } from "./session";

export interface Reading {
  timestamp: number;
  payload: Record<string, number>;
  stamps: Record<string, number>;
}

export interface Status {
  status: string | null;
  since: string | null;
  last_heard: string | null;
  last_reading: string | null;
}

export type Mode = "connecting" | "live" | "polling";

interface Message {
  type: string;
  device_id: string;
  timestamp: string;
  payload: Record<string, number>;
}

type StatusMessage = Status & { type: string; device_id: string };

export const POLL_SECONDS = 3;
const PATIENCE_SECONDS = 4;
const RETRY_SECONDS = 5;
const PORTION = 40;

export class Realtime {
  readonly readings = new Map<string, Reading>();
  readonly statuses = new Map<string, Status>();
  mode: Mode = "connecting";
  private readonly types: Map<string, DataType>;
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly modeListeners = new Set<() => void>();
  private readonly deviceListeners = new Set<() => void>();
  private readonly watched = new Map<string, { type: string; device: string; count: number }>();
  private readonly changed = new Set<string>();
  private socket: Socket | null = null;
  private timers: number[] = [];
  private downSince = Date.now();
  private polling = false;
  private polledAt = 0;
  private closed = false;

  constructor(types: DataType[]) {
    this.types = new Map(types.map((type) => [type.name, type]));
  }

  async start(): Promise<void> {
    this.timers.push(window.setInterval(() => this.tick(), 1000));
    this.tick();
    const config = await fetch("/dashboard/config.json").then(
      (response) => (response.ok ? response.json() : null),
      () => null,
    );
    if (this.closed) return;
    if (!config) {
      setTimeout(() => void this.again(), RETRY_SECONDS * 1000);
      return;
    }
    const origin = config.realtime_port ? `${location.protocol}//${location.hostname}:${config.realtime_port}` : "";
    const socket = io(`${origin}/telemetry`, {
      transports: ["websocket", "polling"],
      reconnectionDelay: 500,
      reconnectionDelayMax: RETRY_SECONDS * 1000,
      auth: (give) => void token().then((access) => give({ token: access ?? "" }), () => give({})),
    });
    this.socket = socket;
    socket.on("connect", () => {
      this.setMode("live");
      for (const { type, device } of this.watched.values()) this.subscribe(type, device);
    });
    socket.on("disconnect", () => this.lose());
    socket.on("connect_error", () => this.lose());
    for (const event of ["reading", "snapshot"]) socket.on(event, (body) => this.takeReadings(body));
    for (const event of ["device_status", "snapshot"]) socket.on(event, (body) => this.takeStatuses(body));
  }

  private async again(): Promise<void> {
    if (this.closed) return;
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    await this.start();
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers) clearInterval(timer);
    this.socket?.close();
  }

  // Subscribe to the values of a device, or with `*` to those of all devices of a type. Returns the function that ends it.
  watch(type: string, device: string): () => void {
    const key = keyOf(type, device);
    const there = this.watched.get(key);
    if (there) there.count += 1;
    else {
      this.watched.set(key, { type, device, count: 1 });
      this.polledAt = 0;
      if (this.socket?.connected) this.subscribe(type, device);
    }
    return () => {
      const entry = this.watched.get(key);
      if (!entry || --entry.count > 0) return;
      this.watched.delete(key);
      if (this.socket?.connected) this.socket.emit("unsubscribe", { type, device_id: device });
    };
  }

  // Call `listener` at every change of a device's reading or status.
  on(type: string, device: string, listener: () => void): () => void {
    const key = keyOf(type, device);
    const there = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, there.add(listener));
    return () => void there.delete(listener);
  }

  // Call `listener` when the mode changes.
  onMode(listener: () => void): () => void {
    this.modeListeners.add(listener);
    return () => void this.modeListeners.delete(listener);
  }

  // Call `listener` when a device appears, or goes online or offline.
  onDevices(listener: () => void): () => void {
    this.deviceListeners.add(listener);
    return () => void this.deviceListeners.delete(listener);
  }

  put(type: string, device: string, stamp: string, payload: Record<string, number>): void {
    const key = keyOf(type, device);
    const timestamp = new Date(stamp).getTime();
    const old = this.readings.get(key);
    if (old && old.timestamp > timestamp) return;
    const merged: Reading = { timestamp, payload: {}, stamps: {} };
    // A reading may arrive in parts. Old values are not shown as if they were current.
    const oldest = timestamp - (this.types.get(type)?.stale_after ?? 60) * 1000;
    for (const name in old?.payload) {
      const since = old.stamps[name] ?? 0;
      if (since >= oldest) {
        merged.payload[name] = old.payload[name]!;
        merged.stamps[name] = since;
      }
    }
    for (const name in payload) {
      merged.payload[name] = payload[name]!;
      merged.stamps[name] = timestamp;
    }
    this.readings.set(key, merged);
    this.note(key, !old);
  }

  putStatus(type: string, device: string, status: Status): void {
    const key = keyOf(type, device);
    const told = this.statuses.get(key)?.status;
    this.statuses.set(key, status);
    this.note(key, told !== status.status);
  }

  private subscribe(type: string, device: string): void {
    this.socket?.emit("subscribe", { type, device_id: device }, () => undefined);
  }

  private takeReadings(body: unknown): void {
    for (const reading of listed<Message>(body, "readings")) {
      this.put(reading.type ?? named(body), reading.device_id, reading.timestamp, reading.payload);
    }
  }

  private takeStatuses(body: unknown): void {
    for (const status of listed<StatusMessage>(body, "statuses")) {
      this.putStatus(status.type ?? named(body), status.device_id, status);
    }
  }

  private lose(): void {
    if (this.mode === "live") {
      this.downSince = Date.now();
      this.setMode("connecting");
    }
    // The gateway closed or refused the connection: the library does not retry then, so we do, with a new token.
    const socket = this.socket;
    if (socket && !socket.active && !this.closed) {
      setTimeout(() => !this.closed && !socket.active && socket.connect(), RETRY_SECONDS * 200);
    }
  }

  private tick(): void {
    if (this.mode === "connecting" && Date.now() - this.downSince > PATIENCE_SECONDS * 1000) this.setMode("polling");
    const due = this.polledAt === 0 || (this.mode === "polling" && Date.now() - this.polledAt > POLL_SECONDS * 1000);
    if (due && !this.polling && !document.hidden) void this.poll();
  }

  private async poll(): Promise<void> {
    this.polling = true;
    this.polledAt = Date.now();
    for (const { type, device } of [...this.watched.values()]) {
      const path = this.types.get(type)?.path;
      if (!path) continue;
      const parameters = device === "*" ? {} : { device_id: device };
      const answer = await all<Row>(`${path}latest/`, parameters, 5).catch(() => null);
      for (const row of answer?.results ?? []) this.put(type, row.device_id, row.timestamp, row.payload);
    }
    this.polling = false;
  }

  private setMode(mode: Mode): void {
    this.mode = mode;
    for (const listener of this.modeListeners) listener();
  }

  private note(key: string, isNew: boolean): void {
    if (!this.changed.size) requestAnimationFrame(() => this.tell());
    this.changed.add(key);
    if (isNew) this.changed.add("");
  }

  private tell(): void {
    let told = 0;
    for (const key of this.changed) {
      this.changed.delete(key);
      for (const listener of key ? (this.listeners.get(key) ?? []) : this.deviceListeners) listener();
      if (++told >= PORTION) break;
    }
    if (this.changed.size) requestAnimationFrame(() => this.tell());
  }
}

export function keyOf(type: string, device: string): string {
  return `${type}/${device}`;
}

function listed<T>(body: unknown, name: string): T[] {
  if (Array.isArray(body)) return body as T[];
  const there = (body as Record<string, unknown>)[name];
  return Array.isArray(there) ? (there as T[]) : [];
}

function named(body: unknown): string {
  return String((body as { type?: string }).type ?? "");
}
