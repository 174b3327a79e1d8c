/**
 * What a campaign did not see of a design: instructions that were never executed, sides of a branch that were never
 * taken, ways that were open and never gone, situations that the design calls dangerous and that never came about; each
 * with the place nearest to it that was reached, and so the case that almost did.
 */
import { type Booted, expected } from '../../../model/design.ts';
import type { Frame, Instruction, Machine } from '../../../model/machine.ts';
import { resolved } from '../../../model/machine.ts';

export interface Unseen {
  readonly kind: 'action' | 'branch' | 'outcome' | 'witness';
  /** In words: 'evict: mutex_lock(&process.lock)'. */
  readonly what: string;
  /** The place, 'routine:pc', that was reached and from which it is not far; nothing when not even the routine began. */
  readonly near?: string;
}
/** What was seen of one setting: ways taken and ways open, as 'routine:pc' or 'routine:pc/outcome', and witnesses. */
export interface SeenOf {
  readonly taken: ReadonlySet<string>;
  readonly offered: ReadonlySet<string>;
  readonly witnesses: ReadonlySet<string>;
}

export function unseen(booted: Booted, { taken, offered, witnesses }: SeenOf): Unseen[] {
  const { machine } = booted;
  const executed = new Set([...taken].map((way) => way.split('/')[0] as string));
  const flow = new Flow(machine);
  const found: Unseen[] = [];
  const near = (routine: string, pc: number): Pick<Unseen, 'near'> => {
    const place = flow.nearest(routine, pc, executed);
    return place === undefined ? {} : { near: place };
  };
  for (const routine of ownRoutines(booted))
    for (const [pc, line] of (machine.programs[routine] ?? []).entries()) {
      const place = `${routine}:${pc}`;
      const text = `${routine}: ${textOf(machine, line)}`;
      if (!machine.ops[line.op]?.local) {
        if (!executed.has(place)) found.push({ kind: 'action', what: text, ...near(routine, pc) });
      } else if (line.op === 'jump_unless') {
        const [then, otherwise] = [flow.entry(routine, pc + 1), flow.entry(routine, line['to'] as number)];
        for (const [side, here, there] of [
          ['then', then, otherwise],
          ['otherwise', otherwise, then],
        ] as const) {
          const own = [...here].filter((each) => !there.has(each));
          // A side without an instruction of its own cannot be told from the other.
          if (
            own.length > 0 &&
            !own.some((each) => executed.has(each)) &&
            [...there].some((each) => executed.has(each))
          )
            found.push({ kind: 'branch', what: `${text} ${side}`, ...near(routine, pc) });
        }
      } else if (line.op === 'witness' && !witnesses.has(line['name'] as string)) {
        found.push({ kind: 'witness', what: line['name'] as string, ...near(routine, pc) });
      }
    }
  for (const name of expected(booted.design, booted.knobs)?.witnesses ?? [])
    if (!witnesses.has(name) && !found.some(({ kind, what }) => kind === 'witness' && what === name))
      found.push({ kind: 'witness', what: name });
  for (const way of offered)
    if (!taken.has(way)) {
      const [place = '', outcome = ''] = way.split('/');
      const [routine = '', pc = ''] = place.split(':');
      const line = machine.programs[routine]?.[Number(pc)];
      if (line && executed.has(place))
        found.push({ kind: 'outcome', what: `${routine}: ${textOf(machine, line)} ${outcome}`.trimEnd(), near: place });
    }
  return found;
}

/** What the design declares itself; routines that all designs share are left out: most designs use little of them. */
function ownRoutines({ design, knobs, machine }: Booted): string[] {
  const { routines = {}, calls = {}, threads } = design.kernel(knobs);
  return [...Object.keys(routines), ...Object.keys(calls), ...Object.keys(threads)].filter(
    (name) => (machine.programs[name] ?? []).length > 0,
  );
}

/** The line as kernel text; a variable keeps its name. */
function textOf(machine: Machine, line: Instruction): string {
  const names = [...JSON.stringify(line).matchAll(/"\$(\w+)"/g)].map(([, name]) => name as string);
  const vars: Frame['vars'] = Object.fromEntries(names.map((name) => [name, `$${name}`]));
  return machine.ops[line.op]?.text(resolved(line, vars)) || line.op;
}

/** Where control goes within the routines of a machine. */
class Flow {
  private readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }
  /** The first instructions that others can see, from here on. */
  entry(routine: string, pc: number, met = new Set<string>()): ReadonlySet<string> {
    const line = this.machine.programs[routine]?.[pc];
    const place = `${routine}:${pc}`;
    if (!line || met.has(place)) return new Set();
    met.add(place);
    if (!this.machine.ops[line.op]?.local) return new Set([place]);
    const inner = line.op === 'call' ? this.entry(line['routine'] as string, 0, met) : new Set<string>();
    if (inner.size > 0) return inner;
    return new Set(this.next(routine, pc, line).flatMap(([to, at]) => [...this.entry(to, at, met)]));
  }
  /** Backwards from here, the place that was executed and is the fewest instructions away. */
  nearest(routine: string, pc: number, executed: ReadonlySet<string>): string | undefined {
    const program = this.machine.programs[routine] ?? [];
    const before: number[][] = program.map(() => []);
    program.forEach((line, at) => {
      for (const [to, next] of this.next(routine, at, line)) if (to === routine) before[next]?.push(at);
    });
    const queue = [pc];
    const met = new Set(queue);
    for (const at of queue) {
      if (at !== pc && executed.has(`${routine}:${at}`)) return `${routine}:${at}`;
      for (const each of before[at] ?? [])
        if (!met.has(each)) {
          met.add(each);
          queue.push(each);
        }
    }
    return undefined;
  }
  private next(routine: string, pc: number, line: Instruction): (readonly [routine: string, pc: number])[] {
    switch (line.op) {
      case 'jump':
        return [[routine, line['to'] as number]];
      case 'jump_unless':
        return [
          [routine, pc + 1],
          [routine, line['to'] as number],
        ];
      case 'return':
        return [];
      default:
        return [[routine, pc + 1]];
    }
  }
}
