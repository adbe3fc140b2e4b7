// The login form.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { logIn } from "../data/session";
import { Notice } from "../lib/components";

export function LoginView(): JSX.Element {
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    logIn(String(data.get("username")), String(data.get("password")))
      .catch(() => "The server cannot be reached.")
      .then((said) => {
        setTrouble(said);
        setBusy(false);
      });
  };
  return (
    <main class="login">
      <form onSubmit={submit}>
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" />
          <path d="M18 4 8 18h7l-1 10 10-14h-7z" />
        </svg>
        <h1>Green Power</h1>
        {trouble && <Notice kind="bad">{trouble}</Notice>}
        <label class="field">
          <span>User name</span>
          <input name="username" autocomplete="username" autocapitalize="none" required autofocus />
        </label>
        <label class="field">
          <span>Password</span>
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <button type="submit" class="main" disabled={busy}>
          Log in
        </button>
      </form>
    </main>
  );
}
