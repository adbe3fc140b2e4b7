// The session: its tokens, where they are kept, how they are renewed. A refresh token can be used once, so tabs that
// share it take turns. In a browser without locks, each tab has a session of its own.

export interface Session {
  access: string;
  refresh: string;
  username: string;
}

interface Claims {
  exp: number;
  role: string;
}

const KEY = "greenpower.session";
const EARLY_SECONDS = 30;
const locks = navigator.locks as LockManager | undefined;
const storage = locks ? localStorage : sessionStorage;
const listeners = new Set<() => void>();

let session = read();

function read(): Session | null {
  try {
    return JSON.parse(storage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

function keep(next: Session | null): void {
  const changed = (session === null) !== (next === null);
  session = next;
  if (next) storage.setItem(KEY, JSON.stringify(next));
  else storage.removeItem(KEY);
  if (changed) for (const listener of listeners) listener();
}

function claims(token: string): Claims {
  const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  return JSON.parse(atob(part)) as Claims;
}

export function current(): Session | null {
  return session;
}

export function role(): string {
  return session ? claims(session.access).role : "";
}

// Whether the user may change things. The server decides; this only hides what it would refuse.
export function mayOperate(): boolean {
  return role() === "operator" || role() === "admin";
}

export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

window.addEventListener("storage", (event) => {
  if (event.key === KEY) keep(read());
});

async function post(path: string, body: unknown): Promise<Response> {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

export async function logIn(username: string, password: string): Promise<string> {
  const response = await post("/api/users/token/", { username, password });
  const body = await response.json();
  if (!response.ok) return String(body.message ?? "Login failed.");
  keep({ access: body.access, refresh: body.refresh, username });
  return "";
}

export async function logOut(): Promise<void> {
  const ended = session;
  keep(null);
  if (ended) await post("/api/users/token/logout/", { refresh: ended.refresh }).catch(() => undefined);
}

// A valid access token. `rejected`: one that the server refused although it looks valid.
// Null: the user has to log in.
export async function token(rejected = ""): Promise<string | null> {
  const good = (): boolean =>
    session !== null && session.access !== rejected && claims(session.access).exp - EARLY_SECONDS > Date.now() / 1000;
  if (!session || good()) return session && session.access;
  const turn = async (): Promise<string | null> => {
    session = read();
    if (!session || good()) return session && session.access;
    const response = await post("/api/users/token/refresh/", { refresh: session.refresh });
    if (response.ok) keep({ ...session, ...(await response.json()) });
    else if (response.status === 401) keep(null);
    else throw new Error("Server unavailable");
    return session && session.access;
  };
  if (locks) return locks.request(KEY, turn);
  renewing ??= turn().finally(() => (renewing = null));
  return renewing;
}

let renewing: Promise<string | null> | null = null;
