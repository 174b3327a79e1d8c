/**
 * Every thread: where it stands, what it holds, and why it can go on or why not. Each way that can be gone is a button:
 * another choice than the trace's leaves the trace.
 */
import { type Choice, choicesOf, patiently, word } from '../../../model/case.ts';
import type { Booted } from '../../../model/design.ts';
import type { KernelState, Open } from '../../../model/machine.ts';
import { kernelSystem } from '../../../properties/search/system.ts';
import { whyNot, whyNotOwed } from '../../../properties/search/why-not.ts';
import type { Trace } from '../trace.ts';
import { Code } from './code.tsx';

interface ThreadsProps {
  readonly booted: Booted;
  readonly trace: Trace;
  /** After so many steps. */
  readonly step: number;
  readonly patient: boolean;
  /** The word that the trace goes on with. */
  readonly next: string | undefined;
  readonly take: (word: string) => void;
}

const BADGES: Readonly<Record<Open['kind'], string>> = {
  ready: 'can move',
  blocked: 'waits',
  idle: 'nothing to do',
  finished: 'ended',
};
const RANK: readonly Open['kind'][] = ['blocked', 'ready', 'idle', 'finished'];

export function Threads(props: ThreadsProps) {
  const { trace, step, patient } = props;
  const opens = trace.opens(step);
  const all = Object.entries(opens).flatMap(([thread, open]) => choicesOf(thread, open));
  const able = patient ? patiently(all) : all;
  const sorted = Object.entries(opens).sort(([, a], [, b]) => RANK.indexOf(a.kind) - RANK.indexOf(b.kind));
  return (
    <ul class="threads">
      {sorted.map(([thread, open]) => (
        <ThreadCard
          key={thread}
          {...props}
          thread={thread}
          open={open}
          ways={able.filter((choice) => choice.thread === thread)}
        />
      ))}
    </ul>
  );
}

interface CardProps extends ThreadsProps {
  readonly thread: string;
  readonly open: Open;
  readonly ways: readonly Choice[];
}

function ThreadCard({ booted, trace, step, thread, open, ways, patient, next, take }: CardProps) {
  const { kernel } = trace.at(step);
  const row = kernel.threads[thread];
  const frames = row?.frames ?? [];
  const line = trace.line(step, thread);
  const callers = frames.slice(0, -1).map(({ routine }) => routine);
  const held = (row?.held ?? []).map(({ object }) => object);
  const kind = booted.machine.threads[thread]?.kind;
  return (
    <li class={`thread ${open.kind}`}>
      <h4>
        {thread} {kind !== 'kernel' && <small>({kind})</small>} <span class="badge">{BADGES[open.kind]}</span>
      </h4>
      {line !== '' && (
        <code>
          <Code text={line} />
          {callers.length > 0 && <span class="comment"> ← {callers.toReversed().join(' ← ')}</span>}
        </code>
      )}
      {held.length > 0 && <p>Holds {held.join(', ')}.</p>}
      <p class="why">{reason(booted, kernel, thread, open, patient)}</p>
      {ways.length > 0 && (
        <p class="ways">
          {ways.map((choice) => {
            const text = word(choice);
            const follows = text === next;
            return (
              <button key={text} type="button" onClick={() => take(text)} aria-current={follows ? 'step' : undefined}>
                <span class="visually-hidden">{thread}: </span>
                {choice.outcome === '' ? 'go on' : choice.outcome}
                {choice.nature === 'time' && ' (time passes)'}
                {follows && <small> as in the trace</small>}
              </button>
            );
          })}
        </p>
      )}
    </li>
  );
}

/** Why it can go on, or why not: the answer that also enables it in every search. */
function reason(booted: Booted, kernel: KernelState, thread: string, open: Open, patient: boolean): string {
  const system = kernelSystem(booted.machine);
  const not = whyNot(system, kernel, thread, patient);
  if (not) return `Cannot go on: ${not.says}.`;
  const free = whyNotOwed(system, kernel, thread);
  if (free !== undefined) return `Can go on: ${free}.`;
  if (open.kind === 'blocked') return 'Can go on, for its wait ends by itself after a time.';
  return 'Can go on: nothing stands in its way, and it is owed a turn.';
}
