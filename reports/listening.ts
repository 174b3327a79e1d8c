/**
 * A machine that also says which lines it executes: the same instructions, each with an ear on it.
 *
 * One step is one decision and then the local lines that ride with it. A report wants to show those lines too (the
 * notifier that reclaim entered, the error path taken), and the only one that knows them is the reducer. So the
 * reports run the reducer itself, on instructions that also write down how they read.
 */
import {
  type Held,
  type Instruction,
  type KernelState,
  type Machine,
  type Op,
  type Thread,
  settle,
} from '../model/machine.ts';
import { inAtomic } from '../model/objects/index.ts';

/** One line of kernel code as it was executed. */
export interface Line {
  readonly text: string;
  /** The routine that it stands in. */
  readonly routine: string;
  /** Frames on the stack: 1 in the thread's own program. */
  readonly depth: number;
  /** Routines that it entered by itself, as reclaim, a notifier or a completion does; innermost last. */
  readonly enters: readonly string[];
  /** The way it went, when that says something: '→ fails'. */
  readonly outcome: string;
}
/** Something a thread holds, and the routine that took it. */
export interface HeldAt extends Held {
  readonly at: string;
}
export interface Listening {
  readonly machine: Machine;
  /** The lines executed since the last time somebody asked. */
  heard(): Line[];
  /** What a thread holds now, innermost last. */
  holds(kernel: KernelState, thread: string): HeldAt[];
}

/** Control flow that the compiler made of structured lines: nobody wrote it, so nobody wants to read it. */
const PLUMBING: ReadonlySet<string> = new Set(['jump', 'set', 'atomic_enter', 'atomic_exit', 'return']);
/** Lines that name the routine they enter. */
const CALLS: ReadonlySet<string> = new Set(['call', 'call_hook', 'next_call']);

export function listening(machine: Machine): Listening {
  let said: Line[] = [];
  const taken = new Map<string, HeldAt[]>();
  const ops = Object.fromEntries(Object.entries(machine.ops).map(([name, op]) => [name, withEar(name, op)]));

  function withEar(name: string, op: Op): Op {
    return {
      ...op,
      run(kernel: KernelState, me: string, operands: Instruction, outcome: string): void {
        const { frames } = kernel.threads[me] as Thread;
        const depth = frames.length;
        const frame = frames.at(-1);
        const routine = frame?.routine ?? me;
        op.run(kernel, me, operands, outcome);
        remember(me, routine, (kernel.threads[me] as Thread).held);
        const entered = frames.slice(depth);
        const unmet = name === 'jump_unless' && frame?.pc === operands['to'];
        if (PLUMBING.has(name) || unmet) return;
        const call = entered[0];
        const text =
          op.rest && call
            ? `${call.routine}(${Object.entries(call.vars)
                .filter(([key]) => key !== 'me')
                .map(([, value]) => value)
                .join(', ')})`
            : op.text(operands);
        if (text === '') return;
        const enters = CALLS.has(name) ? [] : entered.map((each) => each.routine);
        said.push({ text, routine, depth, enters, outcome: '' });
      },
    };
  }
  function remember(thread: string, routine: string, held: readonly Held[]): void {
    const before = [...(taken.get(thread) ?? [])];
    const now = held.map((each) => {
      const at = before.findIndex((old) => old.object === each.object && old.kind === each.kind);
      return { ...each, at: at < 0 ? routine : (before.splice(at, 1)[0] as HeldAt).at };
    });
    taken.set(thread, now);
  }
  return {
    machine: { ...machine, ops },
    heard() {
      const lines = said;
      said = [];
      return lines;
    },
    holds: (kernel, thread) => {
      const known = taken.get(thread) ?? [];
      return (kernel.threads[thread] as Thread).held.map((held, at) => known[at] ?? { ...held, at: thread });
    },
  };
}

/** The local lines that each thread executed at boot, before its first step: a section it opened, a routine it entered. */
export function linesAtBoot(machine: Machine): Record<string, Line[]> {
  const listener = listening(machine);
  return Object.fromEntries(
    Object.entries(machine.threads).map(([thread, { atomic }]) => {
      const kernel = structuredClone(machine.boot);
      const held = atomic ? [inAtomic('interrupt context')] : [];
      kernel.threads[thread] = {
        frames: [{ routine: thread, pc: 0, vars: { me: thread } }],
        ret: '0',
        begun: false,
        held,
      };
      settle(listener.machine, kernel, thread);
      return [thread, listener.heard()];
    }),
  );
}
