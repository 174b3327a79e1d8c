/**
 * What the kernel, and a process, write to the ring of a user queue (G1.5; drivers/gpu/drm/amd/amdgpu/amdgpu_userq.c).
 *
 * A packet is commands and a signal behind them. When the kernel writes it and the process has the ring mapped, nothing
 * keeps the process from writing there, too: to overwrite the signal, or to move the write pointer back (user-queue.ts).
 */
import { type KernelObject, instruction, returns } from '../machine.ts';
import { nextPacket, onQueue, queueRow } from './user-queue.ts';

/** Append a packet behind the write pointer: ret '0', or '-ENOSPC' when the ring is full. The doorbell comes after. */
export const write_packet = instruction('write_packet', (queue: string) => ({ queue }), {
  text: ({ queue }) => `${queue}->ring[wptr++] = { commands, signal }`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    const row = queueRow(kernel, queue);
    const next = nextPacket(row.wptr);
    returns(kernel, me, next === row.rptr ? '-ENOSPC' : '0');
    if (next !== row.rptr) Object.assign(row, { wptr: next, packet: row.wptr === row.rptr ? 'whole' : row.packet });
  },
});
/**
 * Overwrite the signal of the packet that is next, with nothing, or so that it comes before the commands: ret '1', or '0'
 * when there is no packet. What the hardware has read already it does not read again.
 */
export const overwrite_packet = instruction(
  'overwrite_packet',
  (queue: string, so_that: 'signals_nothing' | 'signals_first') => ({ queue, so_that }),
  {
    text: ({ queue, so_that }) =>
      so_that === 'signals_first' ? `${queue}->ring[] = { signal, commands }` : `${queue}->ring[] = { commands, nop }`,
    touches: onQueue,
    run: (kernel, me, { queue, so_that }) => {
      const row = queueRow(kernel, queue);
      const there = row.rptr !== row.wptr;
      if (there) row.packet = so_that;
      returns(kernel, me, there ? '1' : '0');
    },
  },
);
/** Move the write pointer back to the read pointer. Hardware that is past it by the time the bell rings goes all the way round. */
export const take_packet_back = instruction('take_packet_back', (queue: string) => ({ queue }), {
  text: ({ queue }) => `*${queue}->wptr = ${queue}->rptr`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    const row = queueRow(kernel, queue);
    row.wptr = row.rptr;
    returns(kernel, me, '0');
  },
});
/** Is the hardware through with all that the doorbell told it of? ret '1' or '0'. Nothing on it will signal any more then. */
export const ring_is_empty = instruction('ring_is_empty', (queue: string) => ({ queue }), {
  text: ({ queue }) => `${queue}->rptr == ${queue}->wptr`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    const { rptr, rung, busy } = queueRow(kernel, queue);
    returns(kernel, me, rptr === rung && !busy ? '1' : '0');
  },
});

export const userRing: KernelObject = { ops: [write_packet, overwrite_packet, take_packet_back, ring_is_empty] };
