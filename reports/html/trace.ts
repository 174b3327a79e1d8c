/**
 * A trace that can be looked at anywhere and left anywhere: every state on the way, and what led to it.
 *
 * The states come from the one reducer, on immer drafts, so 5,000 of them share what did not change. Taking another
 * choice somewhere gives another trace that shares everything up to there.
 */
import { type Change, stepFrom } from '../../corpus/steps.ts';
import { type Case, REBOOT, choices, choicesOf, opens } from '../../model/case.ts';
import { type Booted, start } from '../../model/design.ts';
import { type Fact, type KernelState, resolved, standing } from '../../model/machine.ts';
import { brokenBy, brokenIn } from '../../properties/judge.ts';
import type { Blame, Opens, Property } from '../../properties/property.ts';
import { Random } from '../../properties/search/random.ts';
import { type Line, type Listening, linesAtBoot, listening } from '../listening.ts';
import { remarkable } from '../telling.ts';

/** What led to a moment. */
export interface Move {
  readonly word: string;
  readonly thread: string;
  /** The line that was decided on, and the way it went. */
  readonly line: string;
  readonly lines: readonly Line[];
  /** Where it stands, innermost first. */
  readonly stack: readonly string[];
  readonly changes: readonly Change[];
  readonly facts: readonly Fact[];
  /** Part of the circle that can be repeated for ever. */
  readonly loop: boolean;
  /** The machine was started again before this step: lockdep remembers over runs. */
  readonly reboots: boolean;
  /** Threads that this step made wait. */
  readonly newly: readonly string[];
}
/** The machine after so many steps; `move` led here, nothing at the start. */
export interface Moment {
  readonly kernel: KernelState;
  readonly move?: Move;
}

/** Where a run that was let go came to its end. */
export type Ending = 'broken' | 'at rest' | 'out of steps';
/** Steps of a run that is let go. */
export const MOST_FURTHER = 400;

/** What all branches of a trace have in common. */
interface Trunk {
  readonly booted: Booted;
  readonly patient: boolean;
  readonly listener: Listening;
  readonly prologue: Readonly<Record<string, readonly Line[]>>;
  readonly start: KernelState;
}

export class Trace {
  readonly moments: readonly Moment[];
  private readonly trunk: Trunk;
  private readonly looked = new Map<number, Opens>();

  private constructor(trunk: Trunk, moments: readonly Moment[]) {
    this.trunk = trunk;
    this.moments = moments;
  }

  /** The whole of a case; words that cannot be taken are left out. */
  static along(booted: Booted, run: Case, patient = true): Trace {
    const { machine } = booted;
    const kernel = start(booted, run.workload);
    const trunk = { booted, patient, listener: listening(machine), prologue: linesAtBoot(machine), start: kernel };
    const moments: Moment[] = [{ kernel }];
    const trace = new Trace(trunk, moments);
    let reboots = false;
    for (const part of ['schedule', 'loop'] as const)
      for (const word of run[part] ?? []) {
        const next: Required<Moment> | undefined =
          word === REBOOT ? undefined : trace.after(reboots ? 0 : trace.steps, word);
        if (next) moments.push({ ...next, move: { ...next.move, loop: part === 'loop', reboots } });
        reboots = word === REBOOT || (reboots && !next);
      }
    return trace;
  }

  get steps(): number {
    return this.moments.length - 1;
  }
  at(step: number): Moment {
    return this.moments[step] as Moment;
  }
  /** What every thread is open for after so many steps. */
  opens(step: number): Opens {
    const known = this.looked.get(step) ?? opens(this.trunk.booted.machine, this.at(step).kernel);
    this.looked.set(step, known);
    return known;
  }

  /** The line that a thread stands at after so many steps; '' when it has ended. */
  line(step: number, thread: string): string {
    const { machine } = this.trunk.booted;
    const row = this.at(step).kernel.threads[thread];
    const instruction = row && standing(machine, row);
    if (!instruction) return '';
    return machine.ops[instruction.op]?.text(resolved(instruction, row.frames.at(-1)?.vars ?? {})) ?? instruction.op;
  }

  /** The first steps of this trace, and then this word; nothing when it cannot be taken there. */
  branch(step: number, word: string): Trace | undefined {
    const next = this.after(step, word);
    return next && this.with([...this.moments.slice(0, step + 1), next]);
  }
  until(step: number): Trace {
    return this.with(this.moments.slice(0, step + 1));
  }

  /**
   * Let it go from its end, until something is broken or nothing that is owed can happen: each thread in turn and its
   * tamest way, or by chance.
   */
  further(props: readonly Property[], chance?: Random): { readonly trace: Trace; readonly ending: Ending } {
    const moments = [...this.moments];
    const trace = this.with(moments);
    const { machine } = this.trunk.booted;
    const threads = Object.keys(machine.threads);
    for (
      let turn = threads.indexOf(this.at(this.steps).move?.thread ?? ''), taken = 0;
      taken < MOST_FURTHER;
      taken += 1
    ) {
      const { kernel } = trace.at(trace.steps);
      const all = choices(machine, kernel, this.trunk.patient).filter(({ nature }) => chance || nature !== 'may');
      if (all.length === 0) return { trace, ending: 'at rest' };
      const able = threads.filter((thread) => all.some((each) => each.thread === thread));
      const thread = chance
        ? able[chance.below(able.length)]
        : (able.find((each) => threads.indexOf(each) > turn) ?? able[0]);
      turn = threads.indexOf(thread ?? '');
      const ways = all.filter((each) => each.thread === thread);
      const way = ways[chance ? chance.below(ways.length) : 0];
      const next = way && trace.after(trace.steps, `${way.thread}/${way.outcome}`);
      if (!next) return { trace, ending: 'at rest' };
      moments.push(next);
      if (trace.broken(trace.steps, props).length > 0) return { trace, ending: 'broken' };
    }
    return { trace, ending: 'out of steps' };
  }

  /** What the step that led here breaks, or the state by itself. Orders of locks over many runs are not asked about. */
  broken(step: number, props: readonly Property[]): Blame[] {
    const { machine } = this.trunk.booted;
    const { kernel, move } = this.at(step);
    const by = move ? brokenBy({ machine, kernel, ...move }, props) : [];
    return [...by, ...brokenIn(machine, kernel, this.opens(step), props)];
  }
  /** Nothing that is owed can happen any more. */
  rests(step: number): boolean {
    return Object.entries(this.opens(step)).every(([thread, open]) =>
      choicesOf(thread, open).every(({ nature }) => nature === 'may'),
    );
  }

  private with(moments: readonly Moment[]): Trace {
    return new Trace(this.trunk, moments);
  }
  private after(step: number, word: string): Required<Moment> | undefined {
    const { booted, listener, patient, prologue, start } = this.trunk;
    const { kernel } = this.at(step);
    const before = this.opens(step);
    const taken = stepFrom({ ...booted, machine: listener.machine }, kernel, word, patient);
    if (taken.skipped !== undefined) return undefined;
    const { thread } = taken;
    const open = before[thread];
    const outcome = taken.word.slice(thread.length + 1);
    const [first, ...riding] = listener.heard();
    const decided = first && open ? [{ ...first, outcome: remarkable(open, outcome, first.text) }] : [];
    const begins = kernel.threads[thread] === start.threads[thread]; // states share what no step wrote
    const line = decided.map((each) => [each.text, each.outcome].filter((text) => text !== '').join(' ')).join('');
    const newly = taken.waiting
      .map((each) => each.thread)
      .filter((each) => each === thread || before[each]?.kind !== 'blocked');
    const move: Move = {
      ...{ word: taken.word, thread, changes: taken.changes, facts: taken.facts, newly },
      ...{ loop: false, reboots: false },
      line: line || taken.word,
      lines: [...(begins ? (prologue[thread] ?? []) : []), ...decided, ...riding],
      stack: (kernel.threads[thread]?.frames ?? []).map(({ routine }) => routine).toReversed(),
    };
    return { kernel: taken.kernel, move };
  }
}
