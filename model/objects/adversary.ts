/**
 * A process that obeys no protocol: it writes what it likes to whatever it has mapped, in any order, or does nothing at
 * all (G1.3, G5). Everything that the kernel promises must hold beside it.
 */
import { type KernelObject, type ThreadSpec, instruction } from '../machine.ts';
import { forever } from './flow.ts';
import { ring_doorbell, write_wptr } from './user-queue.ts';
import { write_user_fence } from './user-fence.ts';

const adversary_acts = instruction(
  'adversary_acts',
  (queues: readonly string[], memories: readonly string[], most: number) => ({ queues, memories, most }),
  {
    text: () => '/* user space does what it likes */',
    rest: true,
    touches: ({ queues, memories }) => [
      ...queues.map((queue) => ['user_queues', queue] as const),
      ...memories.map((memory) => ['user_fences', memory] as const),
    ],
    outcomes: (_kernel, _me, { queues, memories, most }) => {
      const values = Array.from({ length: most + 1 }, (_, value) => value);
      return [
        ...queues.flatMap((queue) => [`rings ${queue}`, ...values.map((value) => `wptr of ${queue} = ${value}`)]),
        ...memories.flatMap((memory) => values.map((value) => `writes ${memory} = ${value}`)),
      ];
    },
    run: (kernel, me, _operands, outcome) => {
      const [, verb, queue, memory, value] =
        /^(?:(rings|wptr of) (\S+)|writes (\S+))(?: = (\d+))?$/.exec(outcome) ?? [];
      if (verb === 'rings') ring_doorbell.op.run(kernel, me, { queue }, '');
      else if (verb === 'wptr of') write_wptr.op.run(kernel, me, { queue, wptr: Number(value) }, '');
      else write_user_fence.op.run(kernel, me, { memory, value: Number(value) }, '');
    },
  },
);

/** This process may write the pointers and doorbells of these queues, and this memory, with values up to `most`. */
export const adversary = (
  queues: readonly string[],
  memories: readonly string[] = [],
  options: { most?: number } = {},
): ThreadSpec => ({
  kind: 'user',
  begins: 'may',
  program: [forever([adversary_acts(queues, memories, options.most ?? 1)])],
});

export const adversaryObject: KernelObject = { ops: [adversary_acts] };
