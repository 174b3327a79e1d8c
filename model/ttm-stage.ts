/**
 * A stage for tests of TTM: the mock driver of the kernel's own tests, and a machine around it
 * (drivers/gpu/drm/ttm/tests/ttm_kunit_helpers.c; KUNIT-38..KUNIT-41).
 *
 * As there, every manager's buffers live in the pages of their tt, VRAM's too, unless a test says otherwise.
 */
import type { Kernel } from './design.ts';
import { must } from './design.ts';
import type { Block, Fact, Instruction } from './machine.ts';
import {
  type Place,
  type TtmSpec,
  if_ret,
  if_var,
  multihop,
  placement,
  return_,
  together,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_wait_ctx,
  ttm_objects,
  ttm_tt_state,
} from './objects/index.ts';
import { type Stage, stage } from './stage.ts';

const null_move: Block = [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')];
/** VRAM to SYSTEM goes by TT; between SYSTEM and TT, and from nowhere, nothing is copied; the rest is copied by the CPU. */
export const mock_move: Block = [
  ttm_bo_place('$bo'),
  if_ret('NULL', [null_move]),
  if_ret('SYSTEM', [if_var('new_mem', 'TT', [null_move]), ttm_tt_state('$bo'), if_ret('none', [null_move])]),
  if_ret('TT', [if_var('new_mem', 'SYSTEM', [null_move])]),
  if_ret('VRAM', [if_var('new_mem', 'SYSTEM', [return_(multihop('TT'))])]),
  ttm_bo_wait_ctx('$bo', '$ctx'),
  if_ret('0', [], [return_('ret')]),
  ttm_bo_move_memcpy('$bo', '$new_mem' as Place),
];
export const mock_routines = {
  mock_move,
  // PRIV gives its contents up when it is evicted, and so does PRIV1, to which TT is evicted.
  mock_evict_flags: [
    ttm_bo_place('$bo'),
    if_ret(['VRAM', 'SYSTEM'], [return_(placement('SYSTEM|FALLBACK'))]),
    if_ret('TT', [return_(placement('PRIV1|FALLBACK'))]),
    return_(placement()),
  ],
  bad_evict_flags: [return_(placement('PRIV|FALLBACK'))],
} satisfies Record<string, Block>;
const mock_device = { move: 'mock_move', evict_flags: 'mock_evict_flags' };

export type Setup = Partial<TtmSpec> & Partial<Pick<Kernel, 'routines' | 'objects' | 'threads'>>;
/** The kernel around these buffers, with the mock driver unless the devices have another. */
export function ttmKernel(setup: Setup): Kernel {
  const {
    bos = { bo: {} },
    managers = {},
    devices = { bdev: mock_device },
    routines,
    objects,
    threads,
    ...more
  } = setup;
  const rows = ttm_objects({ ...more, bos, managers: { SYSTEM: {}, ...managers }, devices });
  return {
    objects: together(rows, objects ?? {}),
    routines: { ...mock_routines, ...routines },
    threads: threads ?? {},
  };
}
/** Run one thread alone on such a machine, the tamest way: its last answer, all facts, and the machine afterwards. */
export function ttmAlone(body: Block | Instruction, setup: Setup = {}): { ret: string; facts: Fact[]; at: Stage } {
  const kernel = ttmKernel(setup);
  const at = stage({ ...kernel, threads: { task: must([body]), ...kernel.threads } });
  const facts = at.runs('task');
  const end = facts.findLast((fact) => fact.kind === 'returned' && fact.to === 'nobody');
  return { ret: end?.kind === 'returned' ? end.ret : `still waits: ${at.because('task')}`, facts, at };
}

/** Pages that moves brought somewhere: ctx->bytes_moved. */
export const pagesMoved = (facts: readonly Fact[]): number =>
  facts.reduce((sum, fact) => sum + (fact.kind === 'bytesMoved' ? fact.pages : 0), 0);
/** The rules of TTM that were broken, in order. */
export const inconsistencies = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'inconsistent' ? [fact.rule] : []));
