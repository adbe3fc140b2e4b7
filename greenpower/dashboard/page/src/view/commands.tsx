// Commands to a device: a form for those that its type declares, and the results of the last ones.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Command, Page, Parameter, Value } from "../data/api";
import { Problem, get, send } from "../data/api";
import { capital, time, unit } from "../lib/format";
import { useAnswer } from "../lib/hooks";
import { Notice, Select, Trouble } from "../lib/components";

const REFRESH_SECONDS = 20;
const SOON_SECONDS = 1;
const SHOWN_COMMANDS = 5;
const OPEN = new Set(["queued", "sent", "answered"]);

interface Given {
  id: number;
  command: string;
  parameters: Record<string, Value>;
  requested_by: string;
  state: string;
  verified: boolean;
  detail: string;
  answer: Record<string, string> | null;
  created_at: string;
}

interface Asked {
  command: Command;
  parameters: Record<string, Value>;
  confirmation?: string;
}

export function CommandPanel({ commands, id }: { commands: Command[]; id: number }): JSX.Element {
  const path = `/api/devices/${id}/commands/`;
  const [open, setOpen] = useState(false);
  const answer = useAnswer(
    (signal) =>
      get<Page<Given>>(path, { page_size: SHOWN_COMMANDS }, signal).then((page) => {
        setOpen(page.results.some((given) => OPEN.has(given.state)));
        return page;
      }),
    [id, open],
    open ? SOON_SECONDS : REFRESH_SECONDS,
  );
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [pending, setPending] = useState<Asked | null>(null);
  const [busy, setBusy] = useState(false);
  const give = async (asked: Asked): Promise<void> => {
    const { command, ...rest } = asked;
    setBusy(true);
    setTrouble(null);
    setPending(null);
    try {
      const { status, body } = await send<{ confirmation: string }>("POST", path, { command: command.name, ...rest });
      if (status === 202) setPending({ ...asked, confirmation: body.confirmation });
      else answer.again();
    } catch (error) {
      setTrouble(error instanceof Problem ? error : new Problem(0, String(error)));
    }
    setBusy(false);
  };
  const given = answer.data?.results ?? [];
  return (
    <section aria-labelledby="commands" class="panel">
      <h2 id="commands">Commands</h2>
      <Trouble error={answer.error ?? trouble} what="Command" />
      {pending ? (
        <div class="command">
          <span>{`${pending.command.title} (${textOf(pending.command, pending.parameters)}). Send this command?`}</span>
          <button type="button" class="danger" disabled={busy} onClick={() => give(pending)}>
            Confirm
          </button>
          <button type="button" onClick={() => setPending(null)}>
            Cancel
          </button>
        </div>
      ) : (
        <Form commands={commands} busy={busy} onGive={give} />
      )}
      {answer.data && !given.length && <Notice>No commands sent yet.</Notice>}
      <ul class="incidents given">
        {given.map((one) => (
          <GivenItem key={one.id} given={one} command={commands.find((command) => command.name === one.command)} />
        ))}
      </ul>
    </section>
  );
}

interface FormProps {
  commands: Command[];
  busy: boolean;
  onGive: (asked: Asked) => void;
}

function Form({ commands, busy, onGive }: FormProps): JSX.Element {
  const [name, setName] = useState(commands[0]!.name);
  const command = commands.find((other) => other.name === name) ?? commands[0]!;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const parameters = Object.fromEntries(
      command.parameters.map((parameter) => [parameter.name, valueOf(parameter, String(data.get(parameter.name)))]),
    );
    onGive({ command, parameters });
  };
  return (
    <form class="command" onSubmit={submit}>
      <Select
        label="Command"
        value={command.name}
        onChange={setName}
        options={commands.map((other) => [other.name, other.title] as const)}
      />
      {command.parameters.map((parameter) => (
        <Input key={`${command.name}/${parameter.name}`} parameter={parameter} />
      ))}
      <button type="submit" disabled={busy}>
        Send
      </button>
    </form>
  );
}

function Input({ parameter }: { parameter: Parameter }): JSX.Element {
  const choices = parameter.kind === "boolean" ? [false, true] : parameter.choices;
  return (
    <label class="field">
      <span>{capital(parameter.title)}</span>
      {choices.length ? (
        <select name={parameter.name}>
          {choices.map((choice) => (
            <option key={String(choice)} value={String(choice)}>
              {shown(parameter, choice)}
            </option>
          ))}
        </select>
      ) : (
        <input name={parameter.name} type="number" step={1} min={parameter.low ?? undefined} max={parameter.high ?? undefined} required />
      )}
    </label>
  );
}

function GivenItem({ given, command }: { given: Given; command: Command | undefined }): JSX.Element {
  const said = given.answer?.value;
  return (
    <li class={given.state} data-verified={String(given.verified)}>
      <div>
        <strong>{command?.title ?? given.command}</strong>
        <span class={`tag ${given.state}`}>{given.verified ? "done, verified" : given.state}</span>
      </div>
      <p class="sub">
        {[command && textOf(command, given.parameters), said && `device answered ${said}`, given.requested_by, time(given.created_at)]
          .filter(Boolean)
          .join(", ")}
        {given.state !== "done" && given.detail && `: ${given.detail}`}
      </p>
    </li>
  );
}

function valueOf(parameter: Parameter, text: string): Value {
  if (parameter.kind === "boolean") return text === "true";
  return parameter.kind === "integer" ? Number(text) : text;
}

function shown(parameter: Parameter, value: Value | undefined): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return `${value ?? ""} ${unit(parameter.unit)}`.trim();
}

function textOf(command: Command, parameters: Record<string, Value>): string {
  return command.parameters.map((parameter) => `${parameter.title}: ${shown(parameter, parameters[parameter.name])}`).join(", ");
}
