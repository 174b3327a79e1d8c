/**
 * User queues: rings that a process fills by itself, without an ioctl (drivers/gpu/drm/amd/amdkfd, drivers/gpu/drm/xe;
 * E1.1, G1, G4).
 *
 * The kernel sees no jobs and no end of them, only whether the queue is mapped to the hardware. To take memory away it
 * must unmap the queue: at once, or by asking the hardware to preempt it and waiting for the answer. A unit of work takes
 * two turns; what a preemption interrupts begins again, so a queue that is taken off again and again gets nothing done.
 *
 * Nothing here trusts the process: it may run for ever what it likes, write any value to its write pointer, ring or never
 * ring (adversary.ts). Work that need not end is the process's own, as if it ran in user space: it owes nobody a turn,
 * and time passes beside it. What is trusted is the firmware, a thread of its own: it preempts in bounded time (P-7),
 * unless the queue stands in a page fault and the hardware cannot preempt there (G4.4).
 */
import {
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, int, maybe, name, oneOf, table } from '../schema.ts';
import { deviceTouches, translation } from './buffer.ts';
import { atomic_enter, atomic_exit, might_sleep } from './context.ts';
import { engineShared } from './engine.ts';
import { stoppedInVain } from './eviction.ts';
import { call, forever } from './flow.ts';
import { answerWait, bufferFull, raiseFault } from './gpu-fault.ts';
import { pendingFences } from './resv.ts';
import { resvOf } from './ttm.ts';
import { MOST_VALUE, pollWait } from './user-fence.ts';

/** The largest value of a ring pointer, which is what a user fence gets to see; the ring has one packet more. */
const MOST_PACKETS = MOST_VALUE;
const fields = {
  user_queues: table({
    mapped: flag,
    /** A unit of work is begun and not finished. */
    busy: flag,
    /** The thread that maps it again after an eviction; empty when nobody does. */
    restored_by: fixedName('threads'),
    /** Buffers of its process: whatever runs on it may touch each of them at any time. */
    uses: constant<readonly string[]>([]),
    /** The eviction or preemption fence that stands for it in their reservations; empty when none does (E1.1). */
    fence: fixedName('fences'),
    /** The firmware that preempts it when asked; nobody when empty: then it can only be unmapped at once. */
    preempted_by: fixedName('threads'),
    /** The firmware was asked and has not answered yet. */
    suspending: flag,
    /** It runs what its process wrote to its ring and rang for; otherwise it is never without work. */
    ring_buffer: constant<boolean>(false),
    wptr: int(MOST_PACKETS),
    rptr: int(MOST_PACKETS),
    /** The write pointer as it was when the doorbell last rang: what the hardware runs up to. */
    rung: int(MOST_PACKETS),
    /** The user fence that gets the read pointer when a packet is done; the process writes it, too. */
    completes: fixedName('user_fences'),
    /** Runs in interrupt context when a packet is done, with `queue`. */
    irq: fixedName('routines'),
    /** What has become of the signal at the end of the next packet: a process that has the ring mapped may overwrite it. */
    packet: oneOf('whole', 'signals_nothing', 'signals_first'),
    /** A packet polls this user fence before it begins, and begins when it has reached the value. */
    polls: fixedName('user_fences'),
    until: constant<number>(1),
    /** May what is on it never end? And does it? */
    may_run_forever: constant<boolean>(false),
    endless: flag,
    /** Where its page faults go; without one it reaches what is not mapped, and that is that (E7.1). */
    fault_buffer: fixedName('fault_buffers'),
    /** The buffer that it wants and that is not mapped, until somebody answers. */
    faulting: maybe(name('bos')),
    /** Its fault found no room: nobody knows of it. */
    fault_lost: flag,
    preempts_on_fault: constant<boolean>(true),
    /** The engine that it shares with others; one of its own when empty. */
    engine: fixedName('engines'),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** A queue that was on the hardware is on it no more; `needless` says why nobody has anything of it. */
    stopped: { queue: string; needless: string | null };
  }
}
type QueueRow = Kept<typeof fields>['user_queues'][string];
export const queueRow = (kernel: KernelState, queue: string): QueueRow => kernel.user_queues[queue] as QueueRow;
export const onQueue = ({ queue }: { queue: string }): [['user_queues', string]] => [['user_queues', queue]];

/** The buffers it may use in whose reservation its fence does not stand: memory management would not stop it (E1.9). */
function unprotected(kernel: KernelState, queue: string): string[] {
  const { fence, uses } = queueRow(kernel, queue);
  if (fence === '') return [];
  return uses.filter(
    (bo) => kernel.resvs[bo] && !pendingFences(kernel, resvOf(kernel, bo), 'BOOKKEEP').includes(fence),
  );
}
/** Put the queue on the hardware: from here it runs, and may use every buffer of its process. */
export const map_queue = instruction('map_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `map_queue(${queue})`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    const [bo] = unprotected(kernel, queue);
    if (bo !== undefined)
      complain(
        kernel,
        me,
        'E1.9',
        `${me} maps ${queue} before ${queueRow(kernel, queue).fence} stands in the reservation of ${bo}`,
      );
    Object.assign(queueRow(kernel, queue), { mapped: true, suspending: false });
  },
});
/** It does not run any more; what it was in the middle of, a fault included, begins again when it is mapped. */
function takeOff(kernel: KernelState, me: string, queue: string): void {
  const row = queueRow(kernel, queue);
  if (row.mapped) note(kernel, me, { kind: 'stopped', queue, needless: stoppedInVain(kernel, row.uses) });
  Object.assign(row, { mapped: false, busy: false, suspending: false, faulting: null, fault_lost: false });
}
/** Why the hardware cannot take it off now: it stands in a fault, and this hardware must get out of it first (C35). */
const faultKeeps = (kernel: KernelState, queue: string): Wait | undefined =>
  queueRow(kernel, queue).preempts_on_fault ? undefined : answerWait(kernel, queue);

/** Preempt the queue: it does not run any more when this returns (E1.5). */
export const unmap_queue = instruction('unmap_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `unmap_queue(${queue})`,
  touches: onQueue,
  waits: (kernel, _me, { queue }) => faultKeeps(kernel, queue),
  run: (kernel, me, { queue }) => takeOff(kernel, me, queue),
});
/** Is it on the hardware, and so in use? ret '1' or '0' (E2.2). */
export const queue_is_mapped = instruction('queue_is_mapped', (queue: string) => ({ queue }), {
  text: ({ queue }) => `${queue} is mapped`,
  touches: onQueue,
  run: (kernel, me, { queue }) => returns(kernel, me, queueRow(kernel, queue).mapped ? '1' : '0'),
});
/** Reset the queue: it is off the hardware whatever it was doing, and what ran on it is gone (P-8, HC-3). */
export const reset_queue = instruction('reset_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `reset_queue(${queue})`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    takeOff(kernel, me, queue);
    const row = queueRow(kernel, queue);
    Object.assign(row, { endless: false, rptr: row.rung, packet: 'whole' });
  },
});

/** Ask the firmware to preempt the queue, and do not wait: any context (E4.3). */
export const suspend_queue = instruction('suspend_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `suspend_queue(${queue})`,
  touches: onQueue,
  run: (kernel, _me, { queue }) => askToSuspend(kernel, queue),
});
export function askToSuspend(kernel: KernelState, queue: string): void {
  const row = queueRow(kernel, queue);
  if (row.mapped) row.suspending = true;
}
/** Why a queue that was asked to is still on the hardware. */
export const suspendWait = (kernel: KernelState, queue: string): Wait | undefined => {
  const { suspending, preempted_by } = queueRow(kernel, queue);
  const owedBy = preempted_by === '' ? [] : [preempted_by];
  return suspending
    ? { on: 'user queue', object: queue, owedBy, because: `${preempted_by} has yet to preempt ${queue}` }
    : undefined;
};
/** Wait for the answer: ret '0', or '-ETIME' when a timeout was given and passed (E1.5, E4.4). */
export const suspend_queue_wait = instruction(
  'suspend_queue_wait',
  (queue: string, timeout?: 'HZ') => ({ queue, timeout }),
  {
    text: ({ queue }) => `suspend_queue_wait(${queue})`,
    touches: onQueue,
    waits: (kernel, _me, { queue, timeout }) => {
      const wait = suspendWait(kernel, queue);
      return wait && timeout !== undefined ? { ...wait, bounded: 'times out' } : wait;
    },
    run: (kernel, me, { queue }, outcome) => {
      might_sleep(kernel, me, `suspend_queue_wait(${queue})`);
      (kernel.threads[me] as { ret: string }).ret = outcome === 'times out' ? '-ETIME' : '0';
    },
  },
);

/** User space: move the write pointer, to any place it likes. The kernel does not see it (G1.1). */
export const write_wptr = instruction('write_wptr', (queue: string, wptr: number) => ({ queue, wptr }), {
  text: ({ queue, wptr }) => `*${queue}->wptr = ${wptr}`,
  touches: onQueue,
  run: (kernel, _me, { queue, wptr }) => {
    queueRow(kernel, queue).wptr = wptr;
  },
});
/** User space: ring the doorbell. A write that was under way still arrives when the queue is off the hardware (G1.6). */
export const ring_doorbell = instruction('ring_doorbell', (queue: string) => ({ queue }), {
  text: ({ queue }) => `*${queue}->doorbell = wptr`,
  touches: onQueue,
  run: (kernel, _me, { queue }) => {
    queueRow(kernel, queue).rung = queueRow(kernel, queue).wptr;
  },
});

/** A buffer that it is about to touch and that nothing leads to. */
const willFault = (kernel: KernelState, queue: string): string | undefined => {
  const { fault_buffer, uses } = queueRow(kernel, queue);
  return fault_buffer === '' ? undefined : uses.find((bo) => translation(kernel, bo) === null);
};
/** Why it could not do a turn of work now even if nobody asked it to stop. */
function workWait(kernel: KernelState, queue: string): Wait | undefined {
  const { ring_buffer, rptr, rung, fault_buffer, busy, polls, until } = queueRow(kernel, queue);
  const answer = answerWait(kernel, queue);
  if (answer) return answer;
  if (ring_buffer && rptr === rung && !busy)
    return { on: 'user queue', object: queue, owedBy: [], because: `nobody rings for ${queue}`, idle: true };
  const poll = busy || polls === '' ? undefined : pollWait(kernel, polls, until);
  if (poll) return poll;
  return willFault(kernel, queue) === undefined ? undefined : bufferFull(kernel, fault_buffer);
}
/** A turn of the queue: work, a fault, or nothing to do. */
const turn = {
  text: ({ queue }: { queue: string }) => `${queue} runs`,
  waits: (kernel: KernelState, _me: string, { queue }: { queue: string }): Wait | undefined => {
    const { mapped, restored_by } = queueRow(kernel, queue);
    if (mapped) return workWait(kernel, queue);
    const owedBy = restored_by === '' ? [] : [restored_by];
    return { on: 'user queue', object: queue, owedBy, because: `${queue} is not mapped` };
  },
  outcomes: (kernel: KernelState, _me: string, { queue }: { queue: string }): readonly string[] => {
    const { may_run_forever, endless, busy } = queueRow(kernel, queue);
    return may_run_forever && !endless && !busy ? ['ends', 'never ends'] : [''];
  },
  run: (kernel: KernelState, me: string, { queue }: { queue: string }, outcome: string): void => {
    const row = queueRow(kernel, queue);
    const [bo] = unprotected(kernel, queue);
    if (bo !== undefined)
      complain(
        kernel,
        me,
        'S-G1',
        `${queue} runs although ${row.fence} does not stand in the reservation of ${bo}: nobody would stop it`,
      );
    if (row.engine !== '') engineShared(kernel, me, row.engine);
    const missing = willFault(kernel, queue);
    if (missing !== undefined) {
      raiseFault(kernel, me, queue, missing);
      return;
    }
    for (const each of row.uses) deviceTouches(kernel, me, each);
    if (outcome === 'never ends') row.endless = true;
    const begins = !row.busy;
    row.busy = row.endless || begins;
    if (begins && row.packet === 'signals_first') signalPacket(kernel, me, queue);
    if (!row.busy) finishUnit(kernel, me, queue);
  },
};
const queue_runs = instruction('queue_runs', (queue: string) => ({ queue }), turn);
/** The same, where nothing on it needs ever end: no turn of it is owed to anybody. */
const queue_may_run = instruction('queue_may_run', (queue: string) => ({ queue }), { ...turn, rest: true });
/** A unit of work is over; on a ring that is a packet, and its process may wait for the pointer in memory. */
function finishUnit(kernel: KernelState, me: string, queue: string): void {
  const row = queueRow(kernel, queue);
  note(kernel, me, { kind: 'progress', what: `${queue} finishes a unit of work` });
  if (!row.ring_buffer) return;
  row.rptr = nextPacket(row.rptr);
  if (row.packet === 'whole') signalPacket(kernel, me, queue);
  row.packet = 'whole';
}
/** The packet that says that the one before it is done: the pointer goes to memory, and an interrupt to the driver. */
function signalPacket(kernel: KernelState, me: string, queue: string): void {
  const { completes, irq, packet, rptr } = queueRow(kernel, queue);
  const memory = kernel.user_fences[completes];
  if (memory) memory.value = packet === 'signals_first' ? nextPacket(rptr) : rptr;
  if (irq !== '') pushCall(kernel, me, 'user_queue_irq', { routine: irq, queue });
}
export const nextPacket = (at: number): number => (at + 1) % (MOST_PACKETS + 1);

/** A queue as a thread of hardware: it runs for ever, whenever it is mapped and has work. */
export const user_queue = (
  options: Partial<
    Pick<
      QueueRow,
      | 'mapped'
      | 'restored_by'
      | 'uses'
      | 'fence'
      | 'ring_buffer'
      | 'completes'
      | 'irq'
      | 'polls'
      | 'until'
      | 'may_run_forever'
      | 'preempted_by'
      | 'fault_buffer'
      | 'preempts_on_fault'
      | 'engine'
    >
  > = {},
): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  program: [forever([options.may_run_forever ? queue_may_run('$me') : queue_runs('$me')])],
  rows: (me) => ({ user_queues: { [me]: { mapped: true, restored_by: '', ...options } } }),
});

/** Queues of this firmware that it was asked to preempt, and why it cannot, if it cannot. */
const asked = (kernel: KernelState, firmware: string): { queue: string; wait: Wait | undefined }[] =>
  Object.keys(kernel.user_queues)
    .filter((queue) => queueRow(kernel, queue).preempted_by === firmware && queueRow(kernel, queue).suspending)
    .map((queue) => ({ queue, wait: faultKeeps(kernel, queue) }));
const firmware_preempts = instruction('firmware_preempts', (firmware: string) => ({ firmware }), {
  text: ({ firmware }) => `${firmware} preempts`,
  waits: (kernel, _me, { firmware }) => {
    const queues = asked(kernel, firmware);
    const [first] = queues;
    if (first === undefined)
      return { on: 'user queue', object: firmware, owedBy: [], because: `nobody asks ${firmware}`, idle: true };
    return queues.some(({ wait }) => wait === undefined) ? undefined : first.wait;
  },
  outcomes: (kernel, _me, { firmware }) =>
    asked(kernel, firmware).flatMap(({ queue, wait }) => (wait === undefined ? [queue] : [])),
  run: (kernel, me, _operands, queue) => {
    takeOff(kernel, me, queue);
    note(kernel, me, { kind: 'progress', what: `${queue} is preempted` });
  },
});
/** The firmware that takes queues off the hardware when it is asked to, whatever runs on them (P-7). */
export const firmware = (): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  program: [forever([firmware_preempts('$me')])],
});

export const userQueue: KernelObject = {
  schema: fields,
  ops: [
    map_queue,
    unmap_queue,
    queue_is_mapped,
    reset_queue,
    suspend_queue,
    suspend_queue_wait,
    write_wptr,
    ring_doorbell,
    queue_runs,
    queue_may_run,
    firmware_preempts,
  ],
  routines: {
    user_queue_irq: [
      atomic_enter('a queue interrupt'),
      call('$routine', { queue: '$queue' }),
      atomic_exit('a queue interrupt'),
    ],
  },
};
