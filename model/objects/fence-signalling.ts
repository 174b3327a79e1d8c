/**
 * Signalling sections: from here to there, a published fence depends on this code (drivers/dma-buf/dma-fence.c; L-2..L-6).
 * To lockdep a section is a shared hold of the map that every wait takes exclusively for a moment.
 */
import { type KernelObject, instruction } from '../machine.ts';
import { FENCE_MAP, acquire, holdsKind, release } from './context.ts';
import { newer } from './version.ts';

/** Open and close a signalling section; nested sections and atomic context are not tracked (L-2, L-3, L-4). */
export const dma_fence_begin_signalling = instruction('dma_fence_begin_signalling', () => ({}), {
  text: () => 'dma_fence_begin_signalling()',
  local: true,
  run: (kernel, me) => {
    if (holdsKind(kernel, me, 'atomic')) return;
    const nested = holdsKind(kernel, me, 'signalling') !== undefined;
    acquire(kernel, me, {
      object: FENCE_MAP,
      class: nested ? '' : FENCE_MAP,
      kind: 'signalling',
      mode: 'shared',
      try: newer(kernel, 'begin_signalling_trylock'),
    });
  },
});
export const dma_fence_end_signalling = instruction('dma_fence_end_signalling', () => ({}), {
  text: () => 'dma_fence_end_signalling()',
  local: true,
  run: (kernel, me) => {
    release(kernel, me, FENCE_MAP, 'signalling');
  },
});

export const fenceSignalling: KernelObject = { ops: [dma_fence_begin_signalling, dma_fence_end_signalling] };
