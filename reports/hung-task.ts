/**
 * The hung-task report: what the machine's own log would show some minutes later.
 *
 * Whoever has such a log from a user can compare it line by line. Only tasks in uninterruptible sleep are reported,
 * as in kernel/hung_task.c: a wait that a signal or a timeout ends is none, a spinning CPU does not sleep, and
 * interrupts and hardware are no tasks.
 */
import type { Look, Reporter } from './reporter.ts';
import type { Standing, Telling } from './telling.ts';
import { padded, wrap } from './wrap.ts';

const SECONDS = 120;
const SPINS = 'spinlock';

/** An item behind others on its queue has no task yet that could hang. */
const NO_TASK: ReadonlySet<string> = new Set(['workqueue']);
const isTask = ({ atomic, kind, wait }: Standing): boolean =>
  !atomic && kind !== 'hardware' && !NO_TASK.has(wait?.on ?? '');
/** Asleep for ever, deaf to signals; killable tasks are not reported either (kernel/hung_task.c). */
const sleeps = ({ wait }: Standing): boolean =>
  wait?.interruptible === undefined && wait?.killable === undefined && wait?.on !== SPINS;

/** A name that is stable: the place of the thread in the design stands for its process number. */
const task = ({ threads }: Telling, thread: string): string =>
  `${thread}:${threads.findIndex(({ name }) => name === thread) + 1}`;

function trace(telling: Telling, standing: Standing): string[] {
  const { thread, kind, line, stack, wait } = standing;
  const what = kind === 'user' ? 'process' : kind === 'timer' ? 'delayed work' : 'kernel thread';
  return [
    `INFO: task ${task(telling, thread)} blocked for more than ${SECONDS} seconds.`,
    `task:${padded(thread, 16)} state:D pid:${task(telling, thread).slice(thread.length + 1)} (${what})`,
    'Call Trace:',
    ' <TASK>',
    ...[line, ...stack].map((each) => ` ${each}`),
    ' </TASK>',
    `${thread} waits for ${wait?.on ?? ''} ${wait?.object ?? ''}: ${wait?.because ?? ''}`,
    '',
  ];
}

function locks(telling: Telling): string[] {
  const isLock = ({ kind }: { readonly kind: string }): boolean => kind !== 'scope' && kind !== 'atomic';
  const holders = telling.final.filter(({ held }) => held.some(isLock));
  if (holders.length === 0) return [];
  return [
    'Showing all locks held in the system:',
    ...holders.flatMap(({ thread, held }) => {
      const shown = held.filter(isLock);
      return [
        `${shown.length} lock${shown.length === 1 ? '' : 's'} held by ${task(telling, thread).replace(':', '/')}:`,
        ...shown.map((each, at) => {
          const name =
            each.class === '' || each.class === each.object ? each.object : `${each.object} of ${each.class}`;
          const how = [each.kind === 'lock' ? '' : each.kind, each.mode, each.try ? 'try' : ''].filter(
            (part) => part !== '',
          );
          return ` #${at}: (${name}){${how.join(', ')}}, at: ${each.at}`;
        }),
      ];
    }),
    '',
  ];
}

export const hungTask: Reporter = {
  name: 'hung-task',
  forPeople: true,
  says: 'the kernel log some minutes later: hung tasks, their backtraces, and all locks held',
  render(telling, { width, paint }: Look) {
    const hung = telling.final.filter((each) => telling.hanging.includes(each.thread) && isTask(each) && sleeps(each));
    const lines =
      hung.length > 0
        ? [...hung.flatMap((each) => trace(telling, each)), ...locks(telling)]
        : ['No task hangs in uninterruptible sleep: the hung-task detector has nothing to print.', ''];
    return lines
      .flatMap((line) => wrap(line, width, '    '))
      .map((line) => (line.startsWith('INFO:') ? paint('bad', line) : line))
      .join('\n');
  },
};
