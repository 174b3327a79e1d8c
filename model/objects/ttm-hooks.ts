/**
 * The driver behind TTM: callbacks that it may have, and what TTM does without them (include/drm/ttm/ttm_device.h).
 *
 * A callback is a routine of the design; its variables are `bo` and what the call site gives it. It answers as the
 * kernel's would, but what the kernel fills in through a pointer it returns: `evict_flags` a placement, `move` a hop.
 */
import { type KernelObject, type KernelState, type Thread, instruction, pushCall, returns } from '../machine.ts';
import { deviceOf } from './ttm.ts';

/** A variable of the running routine, as an output of an instruction. */
export function setVars(kernel: KernelState, me: string, vars: Record<string, string>): void {
  const frame = (kernel.threads[me] as Thread).frames.at(-1) as { vars: Record<string, string> };
  Object.assign(frame.vars, vars);
}

/** What TTM takes for the answer of a driver that has no such callback. */
const WITHOUT = {
  tt_create: '0',
  move: '0',
  evict_flags: 'SYSTEM',
  eviction_valuable: '1',
  swap_notify: '0',
  release_notify: '0',
  delete_mem_notify: '0',
} as const;
type Hook = keyof typeof WITHOUT;

/** Call the driver; without a `move` of its own the buffer is copied by the CPU. */
export const ttm_hook = instruction(
  'ttm_hook',
  (bo: string, hook: Hook, vars: Record<string, string> = {}) => ({ bo, hook, vars }),
  {
    text: ({ bo, hook }) => `bdev->funcs->${hook}(${bo})`,
    local: true,
    touches: ({ bo }) => [['ttm_bos', bo]],
    run: (kernel, me, { bo, hook, vars }) => {
      const routine = deviceOf(kernel, bo)?.[hook] ?? '';
      if (routine !== '') pushCall(kernel, me, routine, { bo, ...vars });
      else if (hook === 'move') pushCall(kernel, me, 'ttm_bo_move_simple', { bo, ...vars });
      else returns(kernel, me, WITHOUT[hook]);
    },
  },
);

export const ttmHooks: KernelObject = { ops: [ttm_hook] };
