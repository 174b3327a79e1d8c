/**
 * The rivals: the same designs and the same properties, run the way one would without an engine. Every step is one
 * immer `produce`; states are told apart by their JSON; fuzzing is fast-check's `commands`.
 *
 * Made as fast as this way goes: nothing is frozen, and keys are plain
 * `JSON.stringify`. They judge less than ours do (no circles), never more.
 */
import fc from 'fast-check';
import { produce, setAutoFreeze } from 'immer';
import { choicesOf, opens, patiently } from '../../model/case.ts';
import { type Booted, type Workload, start } from '../../model/design.ts';
import { type Action, type KernelState, type Machine, open, reduce } from '../../model/machine.ts';
import { type Evidence, type Property, signature } from '../../properties/property.ts';

export interface Swept {
  readonly states: number;
  readonly transitions: number;
  readonly resting: number;
  readonly found: ReadonlySet<string>;
}
export interface Walked {
  readonly steps: number;
  readonly found: ReadonlySet<string>;
}

const stepped = (machine: Machine, kernel: KernelState, action: Action): KernelState =>
  produce(kernel, (draft: KernelState) => {
    reduce(machine, draft, action);
  });

/** Judges states and steps by calling every property that has something to say about them. */
class Judge {
  readonly found = new Set<string>();
  private readonly evidence = new Map<Property, Map<string, Evidence>>();
  private readonly machine: Machine;
  private readonly props: readonly Property[];

  constructor(machine: Machine, props: readonly Property[]) {
    this.machine = machine;
    this.props = props;
  }
  /** @returns what may happen next */
  state(kernel: KernelState): { readonly choices: readonly Action[]; readonly resting: boolean } {
    const { machine, props } = this;
    const now = opens(machine, kernel);
    for (const property of props) this.say(property.waits?.(now));
    const choices = patiently(Object.entries(now).flatMap(([thread, each]) => choicesOf(thread, each)));
    const resting = choices.every(({ nature }) => nature === 'may');
    if (resting) for (const property of props) this.say(property.rest?.(machine, kernel, now));
    return { choices, resting };
  }
  step(kernel: KernelState, thread: string): void {
    const { machine, props, evidence } = this;
    const moment = { machine, kernel, thread, facts: kernel.facts };
    for (const property of props) {
      if (property.hears && !kernel.facts.some(({ kind }) => property.hears?.includes(kind))) continue;
      this.say(property.step?.(moment));
      const pieces = property.gathers?.(moment) ?? [];
      if (pieces.length === 0) continue;
      const known = evidence.get(property) ?? new Map<string, Evidence>();
      evidence.set(property, known);
      for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, piece);
    }
  }
  conclude(): void {
    for (const [property, known] of this.evidence) this.say(property.concludes?.(known)?.blame);
  }
  private say(blame: ReturnType<NonNullable<Property['waits']>>): void {
    if (blame) this.found.add(signature(blame));
  }
}

/** Every state, breadth first, with a set of texts. */
export function sweepWithImmer(booted: Booted, props: readonly Property[], workload: Workload): Swept {
  setAutoFreeze(false);
  const { machine } = booted;
  const judge = new Judge(machine, props);
  const key = (kernel: KernelState): string => JSON.stringify({ ...kernel, facts: null });
  const first = start(booted, workload);
  const seen = new Set([key(first)]);
  let level = [first];
  let transitions = 0;
  let resting = 0;
  while (level.length > 0) {
    const next: KernelState[] = [];
    for (const kernel of level) {
      const now = judge.state(kernel);
      if (now.resting) resting += 1;
      for (const choice of now.choices) {
        const after = stepped(machine, kernel, choice);
        transitions += 1;
        judge.step(after, choice.thread);
        const text = key(after);
        if (seen.has(text)) continue;
        seen.add(text);
        next.push(after);
      }
    }
    level = next;
  }
  judge.conclude();
  return { states: seen.size, transitions, resting, found: judge.found };
}

const COMMANDS = 200;

/** Random walks as fast-check writes them: one command a thread, which checks whether it can and then does. */
export function walkWithCommands(
  booted: Booted,
  props: readonly Property[],
  workload: Workload,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Walked {
  setAutoFreeze(false);
  const { machine } = booted;
  const judge = new Judge(machine, props);
  const first = start(booted, workload);
  let steps = 0;
  interface Model {
    kernel: KernelState;
  }
  class Turn implements fc.Command<Model, object> {
    private readonly thread: string;
    private readonly luck: number;
    constructor(thread: string, luck: number) {
      this.thread = thread;
      this.luck = luck;
    }
    check({ kernel }: Readonly<Model>): boolean {
      return choicesOf(this.thread, open(machine, kernel, this.thread)).length > 0;
    }
    run(model: Model): void {
      const ways = choicesOf(this.thread, open(machine, model.kernel, this.thread));
      model.kernel = stepped(machine, model.kernel, ways[this.luck % ways.length] as Action);
      steps += 1;
      judge.step(model.kernel, this.thread);
      judge.state(model.kernel);
    }
  }
  const turns = Object.keys(machine.threads).map((thread) => fc.nat(7).map((luck) => new Turn(thread, luck)));
  fc.assert(
    fc.property(fc.commands(turns, { maxCommands: COMMANDS, size: 'max' }), (commands) => {
      fc.modelRun(() => ({ model: { kernel: first }, real: {} }), commands);
    }),
    { seed, numRuns: runs },
  );
  judge.conclude();
  return { steps, found: judge.found };
}
