/**
 * User fences: values in memory that the device, the process, and whoever else has it mapped may write (G1.2, G1.3, G3;
 * Documentation/driver-api/dma-buf.rst, Documentation/gpu/drm-vm-bind-async.rst).
 *
 * Such a value may be late, or never come, or come too early from somebody who lies. A kernel task may look at it, and
 * may wait for it as long as it holds nothing and can be interrupted (T-14). It is nobody's promise: a wait for it names
 * no debtor, and no dma-fence may depend on it. Hardware that polls it has no such way out; whom it waits for can be said
 * only where the design says that one thread alone writes it.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { type Kept, fixedName, int, table } from '../schema.ts';
import { might_sleep } from './context.ts';

/** The largest value there is. */
export const MOST_VALUE = 3;
const fields = {
  user_fences: table({
    value: int(MOST_VALUE),
    /** The one thread, of a process or a queue, that ever writes it; empty when anybody may. */
    written_by: fixedName('threads'),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type UserFenceRow = Kept<typeof fields>['user_fences'][string];
const rowOf = (kernel: KernelState, memory: string): UserFenceRow => kernel.user_fences[memory] as UserFenceRow;
const onMemory = ({ memory }: { memory: string }): [['user_fences', string]] => [['user_fences', memory]];

/** Why hardware that polls for this value goes on polling, or nothing when it has been reached. */
export function pollWait(kernel: KernelState, memory: string, value: number): Wait | undefined {
  const { value: now, written_by } = rowOf(kernel, memory);
  if (now >= value) return undefined;
  const because = `${memory} has not reached ${value}, and ${written_by === '' ? 'nobody owes that' : `${written_by} has yet to write that`}`;
  return { on: 'user fence', object: memory, owedBy: written_by === '' ? [] : [written_by], because };
}
/** Anybody: write this value. */
export const write_user_fence = instruction(
  'write_user_fence',
  (memory: string, value: number) => ({ memory, value }),
  {
    text: ({ memory, value }) => `*${memory} = ${value}`,
    touches: onMemory,
    run: (kernel, _me, { memory, value }) => {
      rowOf(kernel, memory).value = value;
    },
  },
);
/** Look: ret '1' when the value has been reached, or somebody wrote that it has. */
export const user_fence_reached = instruction(
  'user_fence_reached',
  (memory: string, value: number) => ({ memory, value }),
  {
    text: ({ memory, value }) => `*${memory} >= ${value}`,
    touches: onMemory,
    run: (kernel, me, { memory, value }) => returns(kernel, me, rowOf(kernel, memory).value >= value ? '1' : '0'),
  },
);

const might_wait_for_user = instruction('might_wait_for_user', (memory: string) => ({ memory }), {
  text: () => '',
  local: true,
  touches: onMemory,
  run: (kernel, me, { memory }) => {
    might_sleep(kernel, me, `a wait for ${memory}`);
    const held = (kernel.threads[me] as Thread).held.filter(({ kind }) => kind === 'lock' || kind === 'ticket');
    if (held.length > 0)
      complain(
        kernel,
        me,
        'T-14',
        `${me} waits for user space to write ${memory} while it holds ${held.map(({ object }) => object).join(', ')}`,
      );
  },
});
const wait_for_user = instruction(
  'wait_for_user',
  (memory: string, value: number, timeout?: 'HZ', worker?: true) => ({ memory, value, timeout, worker }),
  {
    text: ({ memory, value, worker }) => `wait_event${worker ? '' : '_interruptible'}(*${memory} >= ${value})`,
    touches: onMemory,
    strong: true, // a value that comes again and again is seen in the end
    waits: (kernel, _me, { memory, value, timeout, worker }) =>
      rowOf(kernel, memory).value >= value
        ? undefined
        : {
            on: 'user fence',
            object: memory,
            owedBy: [],
            because: `${memory} has not reached ${value}, and nobody owes that`,
            ...(worker ? {} : { interruptible: 'interrupted' }),
            ...(timeout === undefined ? {} : { bounded: 'times out' }),
          },
    run: (kernel, me, _operands, outcome) =>
      returns(kernel, me, { interrupted: '-ERESTARTSYS', 'times out': '-ETIME' }[outcome] ?? '0'),
  },
);
/** Wait for user space: ret '0', '-ERESTARTSYS', or '-ETIME' when a timeout was given. Only without any lock (T-14). */
export const wait_user_fence = (memory: string, value: number, timeout?: 'HZ'): Block => [
  might_wait_for_user(memory),
  wait_for_user(memory, value, timeout),
];
/** The same in a kernel worker, whom no signal reaches: ret '0', or '-ETIME' when a timeout was given. */
export const wait_user_fence_in_worker = (memory: string, value: number, timeout?: 'HZ'): Block => [
  might_wait_for_user(memory),
  wait_for_user(memory, value, timeout, true),
];

export const userFence: KernelObject = {
  schema: fields,
  ops: [write_user_fence, user_fence_reached, might_wait_for_user, wait_for_user],
};
