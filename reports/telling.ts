/**
 * A telling: what a case does and what it breaks, as the data that every report format renders.
 *
 * It is a replay on the plain reducer up to the verdict, so a format never computes anything about the kernel and two
 * formats never disagree. Plain data: it survives JSON.
 */
import { type Case, REBOOT, choicesOf, follow, opens } from '../model/case.ts';
import { type Booted, type Knobs, type Workload, expected, start } from '../model/design.ts';
import {
  type Fact,
  type Instruction,
  type KernelState,
  type Machine,
  type Open,
  type Thread,
  type ThreadSpec,
  type Wait,
  open,
  resolved,
  standing,
} from '../model/machine.ts';
import { isPromised } from '../model/objects/fence.ts';
import { type Slot, canonical, read, slotsOf } from '../model/schema.ts';
import { judge } from '../properties/judge.ts';
import { fairness } from '../properties/lasso.ts';
import { stuck } from '../properties/no-deadlock.ts';
import type { Blame, Evidence, Property } from '../properties/property.ts';
import { signature } from '../properties/property.ts';
import { type HeldAt, type Line, type Listening, linesAtBoot, listening } from './listening.ts';

/** A place in the text of a design. */
export interface Site {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
/** Where a line of a design is written, for whoever knows; a line of the kernel's own routines is written in no design. */
export type SiteOf = (line: Instruction) => Site | undefined;

/** A cell of the state, and what it holds. */
export interface Cell {
  readonly path: readonly string[];
  readonly value: unknown;
}
/** Where a thread stands and whether it can go on. */
export interface Standing {
  readonly thread: string;
  readonly kind: ThreadSpec['kind'];
  /** Runs in interrupt context: no task of its own. */
  readonly atomic: boolean;
  readonly state: 'running' | 'blocked' | 'idle' | 'finished';
  /** The line it would execute next; '' when it has finished. */
  readonly line: string;
  /** Frames on the stack at that line. */
  readonly depth: number;
  /** The backtrace, innermost first. */
  readonly stack: readonly string[];
  readonly held: readonly HeldAt[];
  /** What it waits for, when it is blocked or idle. */
  readonly wait: Wait | null;
  /** Where the design says so, innermost, when that is known. */
  readonly site?: Site;
}
/** A published fence that has not signalled: where the promise was made and who has had it since. */
export interface Promised {
  readonly fence: string;
  /** The step that made it visible to others; 0 when that was before the first. */
  readonly since: number;
  /** The threads that owed it, in turn; the last one owes it now, null when nobody is left. */
  readonly owed: readonly { readonly by: string | null; readonly from: number }[];
}
/** One step as it was taken. */
export interface Step {
  readonly kind: 'step';
  readonly number: number;
  readonly word: string;
  readonly thread: string;
  readonly threadKind: ThreadSpec['kind'];
  /** The line that the schedule decided on, and the way it went. */
  readonly line: string;
  /** That line, and the local lines that rode with it or, before a thread's first step, ahead of it. */
  readonly lines: readonly Line[];
  /** Where it stands, innermost first. */
  readonly stack: readonly string[];
  readonly facts: readonly Fact[];
  /** Who is blocked after the step. */
  readonly blocked: readonly (Standing & { readonly newly: boolean })[];
  /** Lock orders that this step is the first to show. */
  readonly evidence: readonly Evidence[];
  /** Part of the circle that can be repeated for ever. */
  readonly loop: boolean;
  /** The cells of the state that it changed, with what they hold after it. */
  readonly writes: readonly Cell[];
  /** Where the design says so, innermost, when that is known. */
  readonly site?: Site;
}
/** The machine starts again; only what was learned about lock order is remembered. */
export interface Reboot {
  readonly kind: 'reboot';
}
export interface Telling {
  readonly design: string;
  /** The claim, as the design makes it. */
  readonly title: string;
  /** The argument behind the claim, in the words of the design, when it speaks about what was broken. */
  readonly argued: string | null;
  readonly knobs: Knobs;
  readonly workload: Workload;
  /** What is broken; null when nothing is. */
  readonly blame: Blame | null;
  /** What the verdict looked at: one step, who waits for whom, a state at rest, a circle, or lock orders over runs. */
  readonly judgedBy: 'step' | 'waits' | 'rest' | 'circle' | 'orders' | null;
  /** The broken property in a sentence; '' when nothing is broken. */
  readonly says: string;
  readonly sources: readonly string[];
  readonly threads: readonly { readonly name: string; readonly kind: ThreadSpec['kind'] }[];
  /** Every cell of the state before the first step; a reboot leads back to it. */
  readonly boot: readonly Cell[];
  /** Who is blocked before the first step. */
  readonly blockedAtBoot: readonly Standing[];
  readonly steps: readonly (Step | Reboot)[];
  /** Every thread after the last step, in the order of declaration. */
  readonly final: readonly Standing[];
  /** The threads that can never go on from there, whatever happens that is owed. */
  readonly hanging: readonly string[];
  readonly promises: readonly Promised[];
  /** Why the repeated steps are a fair execution, thread by thread; empty without a loop. */
  readonly fair: readonly string[];
}

export const stepsOf = ({ steps }: Telling): Step[] => steps.filter((each): each is Step => each.kind === 'step');

/**
 * Tell a case: replay it, on the plain reducer, up to the verdict.
 * @param want the verdict to tell; without it, or when the case does not have it, the first one
 * @param patient timers only when nothing fair can move, as in the search that found the case
 * @param siteOf where lines are written, for formats that point there
 */
export function tell(
  booted: Booted,
  run: Case,
  props: readonly Property[],
  want?: Pick<Blame, 'property' | 'kind'>,
  patient = true,
  siteOf: SiteOf = () => undefined,
): Telling {
  const { design, knobs, machine } = booted;
  const { verdicts } = judge(booted, run, props, patient);
  const wanted = want && verdicts.find(({ blame }) => signature(blame) === signature(want as Blame));
  const verdict = wanted ?? verdicts[0];
  const words = run.schedule.slice(0, verdict?.after ?? run.schedule.length);
  const loop = verdict && verdict.after <= run.schedule.length ? [] : (run.loop ?? []);

  const replay = new Replay(booted, run.workload, props, patient, siteOf);
  const { boot } = replay;
  const blockedAtBoot = replay.blocked();
  for (const text of words) replay.take(text, false);
  const circle = loop.length > 0 ? fairness(machine, replay.kernel, loop, patient) : undefined;
  for (const text of loop) replay.take(text, true);

  const property = props.find(({ name }) => name === verdict?.blame.property);
  const expectation = expected(design, knobs);
  const argued = verdict && expectation?.convicts?.includes(verdict.blame.property) ? expectation.because : null;
  return {
    design: design.name,
    title: design.title,
    argued,
    knobs,
    workload: run.workload,
    blame: verdict?.blame ?? null,
    judgedBy: property ? judgedBy(property, loop.length > 0) : null,
    says: property?.says ?? '',
    sources: [...new Set([...design.sources, ...(property?.sources ?? [])])],
    threads: Object.entries(machine.threads).map(([name, { kind }]) => ({ name, kind })),
    boot,
    blockedAtBoot,
    steps: replay.steps,
    final: replay.standings(),
    hanging: hangingIn(opens(machine, replay.kernel)),
    promises: replay.promises(),
    fair: circle?.fair ? circle.how : [],
  };
}

function judgedBy(property: Property, loop: boolean): NonNullable<Telling['judgedBy']> {
  if (loop) return 'circle';
  if (property.concludes) return 'orders';
  if (property.waits) return 'waits';
  return property.step ? 'step' : 'rest';
}

/** The case on its way: what the plain reducer did so far, written down. */
class Replay {
  readonly steps: (Step | Reboot)[] = [];
  readonly boot: readonly Cell[];
  kernel: KernelState;
  readonly #booted: Booted;
  readonly #workload: Workload;
  readonly #props: readonly Property[];
  readonly #patient: boolean;
  readonly #siteOf: SiteOf;
  readonly #slots: readonly Slot[];
  #cells: readonly string[];
  readonly #known = new Set<string>();
  #listener: Listening;
  #prologue: Record<string, Line[]>;
  #before: ReadonlySet<string>;
  #number = 0;
  #promised = new Map<string, { since: number; owed: { by: string | null; from: number }[] }>();

  constructor(booted: Booted, workload: Workload, props: readonly Property[], patient: boolean, siteOf: SiteOf) {
    this.#booted = booted;
    this.#workload = workload;
    this.#props = props;
    this.#patient = patient;
    this.#siteOf = siteOf;
    this.#listener = listening(booted.machine);
    this.#prologue = linesAtBoot(booted.machine);
    this.kernel = start(booted, workload);
    this.#slots = slotsOf(booted.machine.schema, this.kernel as unknown as Record<string, unknown>);
    this.boot = this.#slots.map(({ path }) => ({ path, value: structuredClone(read(this.kernel, path)) }));
    this.#cells = this.#texts();
    this.#before = new Set(this.blocked().map(({ thread }) => thread));
    this.#followPromises();
  }

  take(text: string, loop: boolean): void {
    const { machine } = this.#booted;
    if (text === REBOOT) return this.#reboot();
    const stacks = Object.fromEntries(
      Object.entries(this.kernel.threads).map(([thread, row]) => [thread, backtrace(row)]),
    );
    const ways = opens(machine, this.kernel);
    const sites = Object.fromEntries(
      Object.entries(this.kernel.threads).map(([thread, row]) => [thread, siteIn(machine, row, this.#siteOf)]),
    );
    const played = follow(this.#listener.machine, this.kernel, text, this.#patient);
    if (!played.choice) return;
    this.#number += 1;
    const { thread, outcome } = played.choice;
    const facts = structuredClone([...played.facts]);
    const blocked = this.blocked().map((each) => ({
      ...each,
      newly: !this.#before.has(each.thread) || each.thread === thread,
    }));
    this.#before = new Set(blocked.map((each) => each.thread));
    this.#followPromises();
    const [first, ...riding] = this.#listener.heard();
    const site = sites[thread];
    const decided = first ? [{ ...first, outcome: remarkable(ways[thread] as Open, outcome, first.text) }] : [];
    this.steps.push({
      kind: 'step',
      number: this.#number,
      word: played.word,
      thread,
      threadKind: machine.threads[thread]?.kind ?? 'kernel',
      line: decided.map(({ text, outcome }) => (outcome === '' ? text : `${text} ${outcome}`)).join('') || played.word,
      lines: [...(this.#prologue[thread] ?? []), ...decided, ...riding],
      stack: stacks[thread] ?? [],
      facts,
      blocked,
      evidence: this.#gather(thread, facts),
      loop,
      writes: this.#writes(),
      ...(site ? { site } : {}),
    });
    this.#prologue[thread] = [];
  }

  standings(): Standing[] {
    const { machine } = this.#booted;
    return Object.keys(machine.threads).map((thread) =>
      standingOf(machine, this.kernel, thread, this.#listener, this.#siteOf),
    );
  }
  blocked(): Standing[] {
    return this.standings().filter(({ state }) => state === 'blocked');
  }
  promises(): Promised[] {
    return [...this.#promised].map(([fence, { since, owed }]) => ({ fence, since, owed }));
  }

  #reboot(): void {
    this.#listener = listening(this.#booted.machine);
    this.#prologue = linesAtBoot(this.#booted.machine);
    this.kernel = start(this.#booted, this.#workload);
    this.#cells = this.#texts();
    this.#before = new Set(this.blocked().map(({ thread }) => thread));
    this.#promised = new Map();
    this.#followPromises();
    this.steps.push({ kind: 'reboot' });
  }
  #texts(): string[] {
    return this.#slots.map(({ path }) => canonical(read(this.kernel, path)));
  }
  #writes(): Cell[] {
    const before = this.#cells;
    this.#cells = this.#texts();
    return this.#slots
      .filter((_, at) => this.#cells[at] !== before[at])
      .map(({ path }) => ({ path, value: structuredClone(read(this.kernel, path)) }));
  }
  #followPromises(): void {
    for (const [fence, { initialised, signaled }] of Object.entries(this.kernel.fences)) {
      if (!initialised || signaled) this.#promised.delete(fence);
    }
    for (const fence of Object.keys(this.kernel.fences).filter((each) => isPromised(this.kernel, each))) {
      const by = this.kernel.fences[fence]?.promisedBy ?? null;
      const known = this.#promised.get(fence) ?? { since: this.#number, owed: [] };
      if (known.owed.at(-1)?.by !== by || known.owed.length === 0) known.owed.push({ by, from: this.#number });
      this.#promised.set(fence, known);
    }
  }
  #gather(thread: string, facts: readonly Fact[]): Evidence[] {
    const moment = { machine: this.#booted.machine, kernel: this.kernel, thread, facts };
    const fresh = this.#props
      .filter(({ hears }) => !hears || facts.some(({ kind }) => hears.includes(kind)))
      .flatMap((property) => property.gathers?.(moment) ?? [])
      .filter(({ key }) => !this.#known.has(key));
    for (const { key } of fresh) this.#known.add(key);
    return fresh;
  }
}

/**
 * Who can never go on: at rest everybody whose wait has no end of its own; before that, those who wait for each other
 * and whoever cannot do without them.
 */
function hangingIn(now: Readonly<Record<string, Open>>): string[] {
  const forGood = (open: Open): open is Extract<Open, { kind: 'blocked' }> =>
    open.kind === 'blocked' && open.wait.bounded === undefined;
  const natures = Object.entries(now).flatMap(([thread, each]) => choicesOf(thread, each).map(({ nature }) => nature));
  const blocked = Object.keys(now).filter((thread) => forGood(now[thread] as Open));
  if (natures.every((nature) => nature === 'may')) return blocked;
  const hanging = new Set(stuck(now));
  for (let before = -1; before !== hanging.size; ) {
    before = hanging.size;
    for (const thread of blocked) {
      const { wait } = now[thread] as Extract<Open, { kind: 'blocked' }>;
      const hangs = (debtor: string): boolean => hanging.has(debtor);
      if (wait.owedBy.length > 0 && (wait.any ? wait.owedBy.every(hangs) : wait.owedBy.some(hangs)))
        hanging.add(thread);
    }
  }
  return blocked.filter((thread) => hanging.has(thread));
}

/** The innermost line on the stack whose place is known: the one that is next, or the calls that led there. */
function siteIn(machine: Machine, { frames }: Thread, siteOf: SiteOf): Site | undefined {
  for (const [at, { routine, pc }] of [...frames.entries()].reverse()) {
    const line = machine.programs[routine]?.[at === frames.length - 1 ? pc : pc - 1];
    const site = line && siteOf(line);
    if (site) return site;
  }
  return undefined;
}

const backtrace = ({ frames }: Thread): string[] => frames.map(({ routine }) => routine).toReversed();

/** The way a step went, when it says something: it could have gone another way, and was not simply fine. */
export function remarkable(open: Open, outcome: string, line: string): string {
  const forced = open.kind === 'ready' && open.outcomes.length < 2;
  const said = outcome === '' || outcome === 'ok' || line.startsWith(`${outcome}(`);
  return said || forced ? '' : `→ ${outcome}`;
}

function standingOf(
  machine: Machine,
  kernel: KernelState,
  thread: string,
  listener: Listening,
  siteOf: SiteOf,
): Standing {
  const row = kernel.threads[thread] as Thread;
  const spec = machine.threads[thread] as ThreadSpec;
  const now = open(machine, kernel, thread);
  const instruction = standing(machine, row);
  const operands = instruction && resolved(instruction, row.frames.at(-1)?.vars ?? {});
  const site = siteIn(machine, row, siteOf);
  return {
    thread,
    kind: spec.kind,
    atomic: spec.atomic ?? false,
    state: now.kind === 'ready' ? 'running' : now.kind,
    line: operands ? (machine.ops[operands.op]?.text(operands) ?? operands.op) : '',
    depth: row.frames.length,
    stack: backtrace(row),
    held: listener.holds(kernel, thread),
    wait: now.kind === 'blocked' || now.kind === 'idle' ? now.wait : null,
    ...(site ? { site } : {}),
  };
}
