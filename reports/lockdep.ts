/**
 * The lockdep report: a circle of lock classes, as lockdep would print it if it saw all of these runs.
 *
 * The circle may contain classes that lockdep does not have: a fence as something owed and waited for. Those lines say
 * so, because no kernel will print them.
 */
import { showKnobs } from '../model/design.ts';
import type { Blame } from '../properties/property.ts';
import type { Look, Reporter } from './reporter.ts';
import { type Step, type Telling, stepsOf } from './telling.ts';
import { columns, padded, wrap } from './wrap.ts';

const FENCE = 'fence ';
const RULE = 54;

/** The step that first showed the order from > to; nothing for the orders primed at boot. */
const occasion = (telling: Telling, from: string, to: string): Step | undefined =>
  stepsOf(telling).find(({ evidence }) => evidence.some((each) => each.from === from && each.to === to));
const at = (step: Step | undefined): string => (step ? `, at: ${[step.line, ...step.stack].join(' <- ')}` : '');

interface Order {
  readonly from: string;
  readonly to: string;
  readonly how: string;
  readonly step: Step | undefined;
}

/** The orders of the circle, the one that was seen last at the end: that is the one lockdep would complain about. */
function ordersOf(telling: Telling, { links }: Blame): Order[] {
  const orders = links.map(({ who: from, wait }) => ({
    from,
    to: wait.object,
    how: wait.because,
    step: occasion(telling, from, wait.object),
  }));
  const latest = orders.reduce(
    (best, { step }, index) => ((step?.number ?? 0) > (orders[best]?.step?.number ?? 0) ? index : best),
    0,
  );
  return [...orders.slice(latest + 1), ...orders.slice(0, latest + 1)];
}

const lock = (name: string): string => (name.startsWith(FENCE) ? `wait(${name})` : `lock(${name})`);
const hold = (name: string): string => (name.startsWith(FENCE) ? `owes(${name})` : `lock(${name})`);

/** Every CPU has one class of the circle, then wants the next: columns, or a line each when those are too wide. */
function scenario(orders: readonly Order[], width: number): string[] {
  const cpus = [...orders.slice(-1), ...orders.slice(0, -1)].map(({ from, to }, cpu) => ({
    cpu: `CPU${cpu}`,
    has: hold(from),
    wants: lock(to),
  }));
  const lane = Math.max(...cpus.flatMap((each) => [columns(each.has), columns(each.wants)])) + 4;
  if (2 + lane * cpus.length > width)
    return cpus.flatMap(({ cpu, has, wants }) => wrap(`  ${cpu}: ${has}, then ${wants}`, width, ' '.repeat(8)));
  const row = (cells: readonly string[]): string => `  ${cells.map((cell) => padded(cell, lane)).join('')}`.trimEnd();
  const only = (at: number, text: string): string => row(cpus.map((_, cpu) => (cpu === at ? text : '')));
  return [
    row(cpus.map(({ cpu }) => cpu)),
    row(cpus.map(({ cpu }) => '-'.repeat(cpu.length))),
    ...cpus.map(({ has }, cpu) => only(cpu, has)),
    ...cpus.slice(1).map(({ wants }, cpu) => only(cpu + 1, wants)),
    only(0, cpus[0]?.wants ?? ''),
  ];
}

function splat(telling: Telling, blame: Blame, width: number): string[] {
  const orders = ordersOf(telling, blame);
  const last = orders.at(-1) as Order;
  const who = last.step?.thread ?? 'somebody';
  const classes = orders.map(({ from }) => from);
  const rule = (letter: string): string => letter.repeat(Math.min(RULE, width));
  const unknown = classes.filter((each) => each.startsWith(FENCE));
  return [
    rule('='),
    'WARNING: possible circular locking dependency detected',
    `${telling.design} ${showKnobs(telling.knobs)}`,
    rule('-'),
    `${who} is trying to acquire lock:`,
    ` (${last.to})${at(last.step)}`,
    '',
    'but task is already holding lock:',
    ` (${last.from}): ${last.how}`,
    '',
    'the existing dependency chain (in reverse order) is:',
    ...[...orders.slice(0, -1).toReversed(), last].flatMap(({ from, to, how, step }, index) => [
      '',
      `-> #${orders.length - 1 - index} (${to}), after (${from}):`,
      ...[how, ...(step ? [step.line, ...step.stack] : [])].map((each) => `       ${each}`),
    ]),
    '',
    'Possible unsafe locking scenario:',
    '',
    ...scenario(orders, width),
    '',
    ' *** DEADLOCK ***',
    ...(unknown.length > 0
      ? [
          '',
          `No kernel prints this: lockdep has no class for ${unknown.join(', ')}, a promise that one thread makes and another waits for.`,
        ]
      : []),
    '',
  ];
}

export const lockdep: Reporter = {
  name: 'lockdep',
  says: 'what lockdep would print about a circle of lock classes',
  render(telling, { width, paint }: Look) {
    const { blame } = telling;
    const lines =
      blame && telling.judgedBy === 'orders'
        ? splat(telling, blame, width)
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
