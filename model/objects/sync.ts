/**
 * Implicit synchronisation: what a job must wait for because of who used the buffer before, and nothing else
 * (include/linux/dma-resv.h, dma_resv_usage_rw; R-22..R-25, E1.13).
 */
import { type Block, type KernelObject, type KernelState, instruction, note } from '../machine.ts';
import { type Kept, constant, fixedName, table } from '../schema.ts';
import { fencesWait } from './fence.ts';
import { armFirst } from './fence-callback.ts';
import { mightWait } from './fence-wait.ts';
import { type Usage, pendingFences, standing } from './resv.ts';

const fields = {
  /** Fences that stand for memory management, not for work: eviction and preemption fences, page-table updates. */
  housekeeping: table({ owner: constant<string>('') }),
  /** Fences of work that writes a buffer, whether they stand on its reservation or not. */
  writers: table({ of: fixedName('resvs') }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** A job begins to use a buffer: fences that it should have waited for and did not. */
    starts: { job: string; resv: string; missed: readonly string[] };
    /** A job waits for a fence that is none of its business. */
    waitsNeedlessly: { fence: string; resv: string; why: string };
  }
}

export type Access = 'read' | 'write' | 'explicit';
/** What an access must wait for: a reader for writers, a writer for readers too, everybody for the kernel's moves. */
export const usageFor = (access: Access): Usage =>
  access === 'write' ? 'READ' : access === 'read' ? 'WRITE' : 'KERNEL';

const onResv = ({ resv }: { resv: string }): [['resvs', string]] => [['resvs', resv]];

/** The fences that stand in this job's way; a driver that knows its own housekeeping fences may skip those of `owner`. */
const inTheWay = (kernel: KernelState, resv: string, access: Access, skips: string): string[] =>
  pendingFences(kernel, resv, usageFor(access)).filter(
    (fence) => skips === '' || kernel.housekeeping[fence]?.owner !== skips,
  );

/** Say which of these are none of the job's business: it is about to wait for them all the same. */
function needlessly(kernel: KernelState, me: string, resv: string, fences: readonly string[]): void {
  for (const fence of fences)
    if (kernel.housekeeping[fence])
      note(kernel, me, {
        kind: 'waitsNeedlessly',
        fence,
        resv,
        why: `${fence} belongs to memory management and orders no work`,
      });
}
const implicit_sync_collect = instruction(
  'implicit_sync_collect',
  (resv: string, access: Access, skips: string) => ({ resv, access, skips }),
  {
    text: ({ resv, access }) => `dma_resv_for_each_fence(${resv}->resv, dma_resv_usage_rw(${access === 'write'}))`,
    touches: onResv,
    run: (kernel, me, { resv, access, skips }) => needlessly(kernel, me, resv, inTheWay(kernel, resv, access, skips)),
  },
);
const implicit_sync_wait_op = instruction(
  'implicit_sync_wait',
  (resv: string, access: Access, skips: string) => ({ resv, access, skips }),
  {
    text: ({ resv, access }) => `dma_resv_wait_timeout(${resv}->resv, dma_resv_usage_rw(${access === 'write'}))`,
    touches: onResv,
    waits: (kernel, _me, { resv, access, skips }) => fencesWait(kernel, inTheWay(kernel, resv, access, skips)),
    run: (kernel, me, { resv, access, skips }) => {
      const fences = inTheWay(kernel, resv, access, skips);
      needlessly(kernel, me, resv, fences);
      if (armFirst(kernel, me, fences)) return;
      mightWait(kernel, me, fences, 'dma_resv_wait_timeout');
    },
  },
);
/**
 * Wait as implicit sync does before a job touches the buffer: collect what stands there, then wait. `skips` names the
 * owner whose housekeeping fences this driver recognises and leaves out (drivers/gpu/drm/amd/amdgpu/amdgpu_sync.c).
 */
export const implicit_sync_wait = (resv: string, access: Access, skips = ''): Block => [
  implicit_sync_collect(resv, access, skips),
  implicit_sync_wait_op(resv, access, skips),
];

/** Work that writes this buffer and is not over, and of which the reservation may know nothing. */
const writing = (kernel: KernelState, resv: string): string[] =>
  Object.keys(kernel.writers).filter((fence) => kernel.writers[fence]?.of === resv && standing(kernel, fence));

/**
 * The job begins to use the buffer: whatever its access must wait for is over, or was missed. `but` names its own fence.
 * Who reads or writes must wait for writers, wherever their fences stand.
 */
export const job_starts = instruction(
  'job_starts',
  (job: string, resv: string, access: Access, but = '') =>
    ({ job, resv, access, but }) as { job: string; resv: string; access: Access; but: string },
  {
    text: ({ job, resv, access }) => `${job} begins to ${access === 'explicit' ? 'use' : access} ${resv}`,
    touches: onResv,
    run: (kernel, me, { job, resv, access, but }) => {
      const standsThere = pendingFences(kernel, resv, usageFor(access));
      const elsewhere = access === 'explicit' ? [] : writing(kernel, resv);
      const missed = [...new Set([...standsThere, ...elsewhere])].filter(
        (fence) => fence !== but && !kernel.housekeeping[fence],
      );
      note(kernel, me, { kind: 'starts', job, resv, missed });
    },
  },
);

export const sync: KernelObject = { schema: fields, ops: [implicit_sync_collect, implicit_sync_wait_op, job_starts] };
