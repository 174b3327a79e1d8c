/**
 * The lockdep report: a circle of lock classes, line for line as the kernel's log shows it (the print functions of
 * kernel/locking/lockdep.c), so that it can be held beside the splat of a user.
 *
 * What the model does not have stands in for something: the name of a lock for its address, the place of a thread in
 * the design for its process number, function names without offsets. The circle may contain what no kernel has a class
 * for: a fence as something owed and waited for. A last line says so.
 */
import { showKnobs } from '../model/design.ts';
import type { FactOf, Held } from '../model/machine.ts';
import type { Look, Reporter } from './reporter.ts';
import { type Step, type Telling, stepsOf } from './telling.ts';
import { wrap } from './wrap.ts';

const FENCE = 'fence ';
const RULE = 54;
const RECURSION_RULE = 44;
/** Where the second CPU of the scenario stands. */
const SECOND_CPU = ' '.repeat(31);
/** Before every symbol of a recorded trace. */
const TRACE = ' '.repeat(7);

/** Pseudo-locks: they order, but nobody sleeps on them (lockdep_map without a wait type). */
const PSEUDO: ReadonlySet<Held['kind']> = new Set(['signalling', 'reclaim', 'ticket', 'scope']);
const PSEUDO_NAMES = /^(fs_reclaim|dma_fence_map|reservation_ww_class_acquire|mmu_notifier_|\(w[qo]|fence )/;

interface Order {
  readonly from: string;
  readonly to: string;
  readonly how: string;
  /** The step that first showed it; nothing for the orders primed at boot. */
  readonly step: Step | undefined;
}

/** The orders of the circle, the one that was seen last at the end: that is the one lockdep would complain about. */
function ordersOf(telling: Telling): Order[] {
  const orders = (telling.blame?.links ?? []).map(({ who: from, wait }) => ({
    from,
    to: wait.object,
    how: wait.because,
    step: stepsOf(telling).find(({ evidence }) =>
      evidence.some((each) => each.from === from && each.to === wait.object),
    ),
  }));
  const latest = orders.reduce(
    (best, { step }, index) => ((step?.number ?? 0) > (orders[best]?.step?.number ?? 0) ? index : best),
    0,
  );
  return [...orders.slice(latest + 1), ...orders.slice(0, latest + 1)];
}

const takings = ({ facts }: Step): FactOf<'acquires'>[] =>
  facts.filter((fact): fact is FactOf<'acquires'> => fact.kind === 'acquires');
/** The function that a line calls, as a backtrace names it. */
const symbol = (line: string): string => /(\w+)\(/.exec(line)?.[1] ?? line;
const task = (telling: Telling, thread: string): string =>
  `${thread}/${telling.threads.findIndex(({ name }) => name === thread) + 1}`;

/** What the traces of this run say of lock classes, as lockdep gathers it. */
class Classes {
  readonly #telling: Telling;
  constructor(telling: Telling) {
    this.#telling = telling;
  }

  /** `(&dev->lock){+.+.}-{4:4}`: the class, its usage in interrupts, and how it may be waited for. */
  name(of: string): string {
    const wait = this.#wait(of);
    return `(${of}){${this.#usage(of)}}-{${wait}:${wait}}`;
  }
  /**
   * One letter for taking it, one for reading it, once for hard and once for soft interrupts: '+' with interrupts on, '-' in
   * an interrupt, '?' both, '.' neither.
   */
  #usage(of: string): string {
    const letter = (mode: Held['mode']): string => {
      const steps = this.#steps(of).filter((step) =>
        takings(step).some((each) => each.class === of && each.mode === mode),
      );
      const inInterrupt = steps.some(({ thread }) => this.#atomic(thread));
      const enabled = steps.some(({ thread, line }) => !this.#atomic(thread) && !/_irqsave\b/.test(line));
      return enabled ? (inInterrupt ? '?' : '+') : inInterrupt ? '-' : '.';
    };
    if (this.#steps(of).length === 0) return '+.+.'; // known from boot only
    const letters = `${letter('exclusive')}${letter('shared')}`;
    return letters + letters;
  }
  /** LD_WAIT_SLEEP for what may sleep, LD_WAIT_CONFIG for a spinlock, LD_WAIT_INV for a pseudo-lock. */
  #wait(of: string): 0 | 3 | 4 {
    const kinds = stepsOf(this.#telling).flatMap((step) =>
      takings(step).flatMap(({ over }) => over.filter((each) => each.class === of).map(({ kind }) => kind)),
    );
    if (kinds.some((kind) => PSEUDO.has(kind)) || PSEUDO_NAMES.test(of)) return 0;
    return this.#steps(of).some(({ line }) => line.startsWith('spin_lock')) ? 3 : 4;
  }
  #steps(of: string): Step[] {
    return stepsOf(this.#telling).filter((step) => takings(step).some((each) => each.class === of));
  }
  #atomic(thread: string): boolean {
    return this.#telling.final.some((each) => each.thread === thread && each.atomic);
  }

  /** `name (class){....}-{4:4}, at: function`: one lock as a thread takes it at a step, or holds it there. */
  lock(of: string, step: Step | undefined, held: boolean): string {
    const facts = step ? takings(step) : [];
    const seen = (held ? facts.flatMap(({ over }) => over) : facts).find((each) => each.class === of);
    const object = seen?.object ?? of.replace(FENCE, '');
    const taken = stepsOf(this.#telling).findLast(
      (each) =>
        each.number < (step?.number ?? 0) &&
        each.thread === step?.thread &&
        takings(each).some((fact) => fact.object === object),
    );
    const at = (held ? taken : step) ?? step;
    return `${object} ${this.name(of)}, at: ${at?.stack[0] ?? 'boot'}`;
  }
  shared(of: string, step: Step | undefined): boolean {
    const facts = step ? takings(step) : [];
    const seen = [...facts, ...facts.flatMap(({ over }) => over)];
    return seen.find((each) => each.class === of)?.mode === 'shared';
  }
}

const taking = (of: string, shared = false): string =>
  of.startsWith(FENCE) ? `wait(${of});` : `${shared ? 'rlock' : 'lock'}(${of});`;
const holding = (of: string, shared = false): string => (of.startsWith(FENCE) ? `owes(${of});` : taking(of, shared));

/** The orders seen before, the latest first, each with the backtrace of its occasion. */
const chain = (orders: readonly Order[], classes: Classes): string[] => {
  const [last, ...before] = orders.toReversed() as [Order, ...Order[]];
  return [...before, last].flatMap(({ to, how, step }, at) => [
    '',
    `-> #${orders.length - 1 - at} ${classes.name(to)}:`,
    ...(step ? [symbol(step.line), ...step.stack] : [how]).map((each) => `${TRACE}${each}`),
  ]);
};

/** Two CPUs are enough to show it: the lock that is held, its neighbour in the circle, and the lock that is wanted. */
function scenario(orders: readonly Order[], classes: Classes): string[] {
  const last = orders.at(-1) as Order;
  const [source, target] = [last.to, last.from];
  const parent = orders.at(-2)?.from ?? source;
  return [
    ...(parent === source ? [] : ['Chain exists of:', `  ${source} --> ${parent} --> ${target}`, '']),
    ' Possible unsafe locking scenario:',
    '',
    '       CPU0                    CPU1',
    '       ----                    ----',
    `  ${holding(target, classes.shared(target, last.step))}`,
    `${SECOND_CPU}${holding(parent)}`,
    `${SECOND_CPU}${taking(target)}`,
    `  ${taking(source, classes.shared(source, last.step))}`,
  ];
}

/** Everything after the circle: what the task holds, and where it is. */
function aftermath(telling: Telling, { step, from }: Order, classes: Classes): string[] {
  const thread = step?.thread ?? '';
  const over = step ? takings(step).flatMap((fact) => fact.over) : [];
  const names = [...new Set([...over.map((each) => each.class), ...(from.startsWith(FENCE) ? [] : [from])])];
  const count = `${names.length} lock${names.length === 1 ? '' : 's'} held by ${task(telling, thread)}:`;
  return [
    names.length === 0 ? `no locks held by ${task(telling, thread)}.` : count,
    ...names.map((name, at) => ` #${at}: ${classes.lock(name, step, true)}`),
    '',
    'stack backtrace:',
    `CPU: 0 PID: ${task(telling, thread).slice(thread.length + 1)} Comm: ${thread} Not tainted ${telling.design}`,
    'Call Trace:',
    ' <TASK>',
    ...(step ? [symbol(step.line), ...step.stack] : []).map((each) => ` ${each}`),
    ' </TASK>',
  ];
}

/** The lines before the circle. @param wide of the rules around the heading */
function heading(telling: Telling, what: string, wide: number, { from, to, step }: Order, classes: Classes): string[] {
  return [
    '='.repeat(wide),
    `WARNING: possible ${what} detected`,
    `${telling.design} ${showKnobs(telling.knobs)} Not tainted`.replace(/ +/g, ' '),
    '-'.repeat(wide),
    `${task(telling, step?.thread ?? '')} is trying to acquire lock:`,
    classes.lock(to, step, false),
    '',
    'but task is already holding lock:',
    classes.lock(from, step, true),
    '',
  ];
}

function splat(telling: Telling): string[] {
  const orders = ordersOf(telling);
  const classes = new Classes(telling);
  const last = orders.at(-1) as Order;
  const unknown = orders.map(({ from }) => from).filter((each) => each.startsWith(FENCE));
  const body =
    orders.length === 1
      ? [
          ...heading(telling, 'recursive locking', RECURSION_RULE, last, classes),
          'other info that might help us debug this:',
          ' Possible unsafe locking scenario:',
          '',
          '       CPU0',
          '       ----',
          `  ${holding(last.from, classes.shared(last.from, last.step))}`,
          `  ${taking(last.to, classes.shared(last.to, last.step))}`,
          '',
          ' *** DEADLOCK ***',
          '',
          ' May be due to missing lock nesting notation',
        ]
      : [
          ...heading(telling, 'circular locking dependency', RULE, last, classes),
          'which lock already depends on the new lock.',
          '',
          '',
          'the existing dependency chain (in reverse order) is:',
          ...chain(orders, classes),
          '',
          'other info that might help us debug this:',
          '',
          ...scenario(orders, classes),
          '',
          ' *** DEADLOCK ***',
        ];
  const note = `No kernel prints this: lockdep has no class for ${unknown.join(', ')}, a promise that one thread makes and another waits for.`;
  return [...body, '', ...aftermath(telling, last, classes), ...(unknown.length > 0 ? ['', note] : []), ''];
}

export const lockdep: Reporter = {
  name: 'lockdep',
  forPeople: true,
  says: 'what lockdep would print about a circle of lock classes, line for line',
  render(telling, { width, paint }: Look) {
    const { blame } = telling;
    const lines =
      blame && telling.judgedBy === 'orders'
        ? splat(telling)
        : [
            `lockdep has nothing to print: ${blame ? `${blame.property} is not about the order of locks` : 'nothing is broken'}.`,
            '',
          ];
    return lines
      .flatMap((line) => wrap(line, width, ' '.repeat(8)))
      .map((line) => (line.startsWith('WARNING:') || line.includes('***') ? paint('bad', line) : line))
      .join('\n');
  },
};
