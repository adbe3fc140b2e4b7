// The frame: who is logged in, where one is, and what all views share.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { forgetTypes, loadTypes } from "./data/catalogue";
import { Live, POLL_SECONDS } from "./data/live";
import { current, logOut, onSession, role } from "./data/session";
import type { Parts } from "./lib/hooks";
import { PartsContext, useHash } from "./lib/hooks";
import { Notice } from "./lib/part";
import { onTheme, theme, toggleTheme } from "./lib/theme";
import { DeviceView } from "./view/device";
import { EventsView } from "./view/events";
import { LoginView } from "./view/login";
import { Overview } from "./view/overview";
import { SystemView } from "./view/system";

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
  const [parts, setParts] = useState<Parts | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    let live: Live | null = null;
    let left = false;
    loadTypes().then(
      (types) => {
        if (left) return;
        live = new Live(types);
        setParts({ types, live });
        void live.start();
      },
      (error) => !left && setTrouble(String(error.message)),
    );
    return () => {
      left = true;
      live?.close();
      forgetTypes();
    };
  }, []);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the content
      </a>
      <Header live={parts?.live ?? null} />
      <main id="content" tabIndex={-1}>
        {trouble && <Notice kind="bad">{trouble}</Notice>}
        {parts ? (
          <PartsContext.Provider value={parts}>
            <View />
          </PartsContext.Provider>
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

function Header({ live }: { live: Live | null }): JSX.Element {
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
        <button type="button" class="quiet" aria-label={dark ? "Light colours" : "Dark colours"} onClick={toggleTheme}>
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

function Connection({ live }: { live: Live }): JSX.Element {
  const [, setRound] = useState(0);
  useEffect(() => live.onMode(() => setRound((old) => old + 1)), [live]);
  const texts = {
    connecting: ["Connecting", "Connecting to the live values"],
    live: ["Live", "Values are shown as they come"],
    polling: [`Every ${POLL_SECONDS} s`, `No live connection: values are asked for every ${POLL_SECONDS} seconds`],
  } as const;
  const [text, title] = texts[live.mode];
  return (
    <span class={`connection ${live.mode}`} role="status" title={title}>
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
