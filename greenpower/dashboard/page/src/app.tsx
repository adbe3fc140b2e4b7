// The frame of the page: the session, the view that is open, and what all views share.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { forgetTypes, loadTypes } from "./data/catalogue";
import { Realtime, POLL_SECONDS } from "./data/realtime";
import { current, logOut, onSession, role } from "./data/session";
import type { Shared } from "./lib/hooks";
import { SharedContext, problemOf, useHash } from "./lib/hooks";
import { Notice } from "./lib/components";
import { onTheme, theme, toggleTheme } from "./lib/theme";
import { DeviceView } from "./view/device";
import { EventsView } from "./view/events";
import { LoginView } from "./view/login";
import { Overview } from "./view/overview";
import { SystemView } from "./view/system";

const RETRY_SECONDS = 5;
const PLACES = [
  ["#/", "Devices"],
  ["#/events", "Events"],
  ["#/system", "System"],
] as const;

export function App(): JSX.Element {
  const [session, setSession] = useState(current);
  useEffect(() => onSession(() => setSession(current())), []);
  return session ? <Page key={session.username} /> : <LoginView />;
}

function Page(): JSX.Element {
  const [shared, setShared] = useState<Shared | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    let live: Realtime | null = null;
    let left = false;
    let timer = 0;
    const load = (): Promise<void> =>
      loadTypes().then(
        (types) => {
          if (left) return;
          live = new Realtime(types);
          setTrouble("");
          setShared({ types, live });
          void live.start();
        },
        (error: unknown) => {
          if (left) return;
          const problem = problemOf(error);
          setTrouble(problem.message);
          if (problem.temporary) timer = window.setTimeout(() => void load(), RETRY_SECONDS * 1000);
        },
      );
    void load();
    return () => {
      left = true;
      clearTimeout(timer);
      live?.close();
      forgetTypes();
    };
  }, []);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to content
      </a>
      <Header live={shared?.live ?? null} />
      <main id="content" tabIndex={-1}>
        {trouble && <Notice kind="bad">{trouble}</Notice>}
        {shared ? (
          <SharedContext.Provider value={shared}>
            <View />
          </SharedContext.Provider>
        ) : (
          !trouble && <Notice>Loading …</Notice>
        )}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function View(): JSX.Element {
  const [path = "", query = ""] = useHash().replace(/^#\//, "").split("?");
  const [place = "", ...rest] = path.split("/").map(decodeURIComponent);
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("main h1")?.focus();
  }, [path]);
  if (place === "device" && rest.length === 2) {
    return <DeviceView key={path} type={rest[0]!} device={rest[1]!} query={query} />;
  }
  if (place === "events") return <EventsView query={query} />;
  if (place === "system") return <SystemView />;
  return <Overview />;
}

function Header({ live }: { live: Realtime | null }): JSX.Element {
  const here = `#/${useHash().split(/[/?]/)[1] ?? ""}`;
  const [, setRound] = useState(0);
  useEffect(() => onTheme(() => setRound((old) => old + 1)), []);
  const dark = theme() === "dark";
  return (
    <header>
      <a class="brand" href="#/">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" />
          <path d="M18 4 8 18h7l-1 10 10-14h-7z" />
        </svg>
        Green Power
      </a>
      <nav aria-label="Main">
        {PLACES.map(([address, text]) => (
          <a key={address} href={address} aria-current={isHere(address, here) ? "page" : undefined}>
            {text}
          </a>
        ))}
      </nav>
      <div class="tools">
        {live && <Connection live={live} />}
        <button type="button" class="quiet" aria-label={dark ? "Light mode" : "Dark mode"} onClick={toggleTheme}>
          <span aria-hidden="true">{dark ? "☀" : "☾"}</span>
        </button>
        <button type="button" class="quiet" title={`${current()?.username}, ${role()}`} onClick={() => void logOut()}>
          Log out
        </button>
      </div>
    </header>
  );
}

function isHere(address: string, here: string): boolean {
  return address === "#/" ? here === "#/" || here === "#/device" : address === here;
}

function Connection({ live }: { live: Realtime }): JSX.Element {
  const [, setRound] = useState(0);
  useEffect(() => live.onMode(() => setRound((old) => old + 1)), [live]);
  const texts = {
    connecting: ["Connecting", "Connecting to live values"],
    live: ["Live", "Values are shown as they arrive"],
    polling: [`Every ${POLL_SECONDS} s`, `No live connection: values are refreshed every ${POLL_SECONDS} seconds`],
  } as const;
  const [text, title] = texts[live.mode];
  return (
    <span class={`connection ${live.mode}`} role="status" title={title}>
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
