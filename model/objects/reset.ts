/**
 * Resetting a device: everything that shares one fate, and what becomes of the fences of its jobs
 * (drivers/gpu/drm/amd/amdgpu/amdgpu_device.c, amdgpu_reset.h; D1..D3, HC-2..HC-9, T-2).
 *
 * A reset domain is the rings that are reset together. A reset parks them, gives up on the jobs that are on them, resets
 * the hardware, and lets submission go on. Giving up means to complete their fences with an error, and that is a thing of
 * its own: the hardware may still be at those jobs until it is really reset (D1.5), and it must happen even when the reset
 * fails (T-2). Who waits for whom around it, and that it runs only once at a time, is the design's: an ordered queue, a
 * semaphore, or nothing.
 */
import {
  type KernelObject,
  type KernelState,
  complain,
  instruction,
  note,
  pushCall,
  returns,
  stay,
} from '../machine.ts';
import { type Kept, constant, oneOf, table, whole } from '../schema.ts';
import { dma_fence_set_error, dma_fence_signal } from './fence-signal.ts';
import { fenceRow, passPromise, pending } from './fence.ts';
import { ringRow } from './ring.ts';

const fields = {
  reset_domains: table({
    rings: constant<readonly string[]>([]),
    /** May the hardware not come back? */
    may_fail: constant<boolean>(false),
    state: oneOf('none', 'stopping', 'forced', 'hw_reset', 'wedged'),
    /** Fences of jobs that the hardware has forgotten. */
    lost: whole<readonly string[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    hardwareReset: { domain: string; fails: boolean; lost: readonly string[] };
  }
}
type DomainRow = Kept<typeof fields>['reset_domains'][string];
const rowOf = (kernel: KernelState, domain: string): DomainRow => kernel.reset_domains[domain] as DomainRow;
const onDomain = ({ domain }: { domain: string }): [['reset_domains', string]] => [['reset_domains', domain]];
const park = (kernel: KernelState, domain: string, parked: boolean): void => {
  for (const ring of rowOf(kernel, domain).rings) ringRow(kernel, ring).parked = parked;
};

/** The reset begins: nothing more may be given to these rings (HC-3). Two at a time are a misuse (HC-4, D1.1). */
export const reset_begin = instruction('reset_begin', (domain: string) => ({ domain }), {
  text: ({ domain }) => `stop(${domain})`,
  touches: onDomain,
  run: (kernel, me, { domain }) => {
    const row = rowOf(kernel, domain);
    if (row.state !== 'none' && row.state !== 'wedged')
      complain(kernel, me, 'HC-4', `${me} resets ${domain} while it is being reset`);
    row.state = 'stopping';
    park(kernel, domain, true);
  },
});

/** Fences that still wait for this hardware: of jobs on the rings, and of jobs that were lost. */
const outstanding = (kernel: KernelState, domain: string): string[] => {
  const { rings, lost } = rowOf(kernel, domain);
  const on = rings.flatMap((ring) => ringRow(kernel, ring).jobs.map(({ fence }) => fence));
  return [...lost, ...on].filter((fence) => pending(kernel, fence));
};
/**
 * Complete every fence that still waits for this hardware with an error, one after the other, in order (D1.4, HC-9). The
 * jobs stay where they are: only a reset takes them away (D1.5).
 */
export const reset_force_completion = instruction(
  'reset_force_completion',
  (domain: string, error: string = '-ECANCELED') => ({ domain, error }),
  {
    text: ({ domain, error }) => `force_completion(${domain}, ${error})`,
    touches: onDomain,
    run: (kernel, me, { domain, error }) => {
      const [fence] = outstanding(kernel, domain);
      if (fence === undefined) {
        const row = rowOf(kernel, domain);
        if (row.state === 'stopping') row.state = 'forced';
        returns(kernel, me, '0');
        return;
      }
      dma_fence_set_error.op.run(kernel, me, { fence, error }, '');
      stay(kernel, me);
      pushCall(kernel, me, 'reset_complete', { fence });
    },
  },
);
/** Reset the hardware: it forgets all jobs and can run again; ret '0', or '-EIO' when it does not come back (D1.3). */
export const reset_hardware = instruction('reset_hardware', (domain: string) => ({ domain }), {
  text: ({ domain }) => `asic_reset(${domain})`,
  touches: onDomain,
  outcomes: (kernel, _me, { domain }) => (rowOf(kernel, domain).may_fail ? ['resets', 'fails'] : ['resets']),
  run: (kernel, me, { domain }, outcome) => {
    const row = rowOf(kernel, domain);
    if (row.state === 'none') complain(kernel, me, 'HC-3', `${me} resets ${domain} without having stopped it`);
    const fails = outcome === 'fails';
    if (!fails) {
      row.lost = outstanding(kernel, domain);
      for (const ring of row.rings) Object.assign(ringRow(kernel, ring), { hung: false, jobs: [] });
    }
    row.state = fails ? 'wedged' : 'hw_reset';
    note(kernel, me, { kind: 'hardwareReset', domain, fails, lost: row.lost });
    returns(kernel, me, fails ? '-EIO' : '0');
  },
});
/**
 * Submission goes on, unless the device is wedged. From here no fence from before may be pending without somebody who
 * still owes it (S-D3).
 */
export const reset_end = instruction('reset_end', (domain: string) => ({ domain }), {
  text: ({ domain }) => `start(${domain})`,
  touches: onDomain,
  run: (kernel, me, { domain }) => {
    const row = rowOf(kernel, domain);
    const dead = row.state === 'wedged' ? outstanding(kernel, domain) : row.lost;
    for (const fence of dead)
      if (pending(kernel, fence) && row.rings.includes(fenceRow(kernel, fence).promisedBy ?? ''))
        complain(kernel, me, 'S-D3', `${fence} is from before the reset, and nobody owes it`);
    row.lost = [];
    if (row.state === 'wedged') return;
    row.state = 'none';
    park(kernel, domain, false);
  },
});
/** While it is stopped: give the job of a fence that is still pending to the ring again (HC-3). */
export const reset_resubmit = instruction(
  'reset_resubmit',
  (ring: string, job: string, fence: string, irq: string) => ({ ring, job, fence, irq }),
  {
    text: ({ ring, job }) => `resubmit(${ring}, ${job})`,
    touches: ({ ring, fence, irq }) => [
      ['rings', ring],
      ['fences', fence],
      ['routines', irq],
    ],
    run: (kernel, _me, { ring, job, fence, irq }) => {
      if (!pending(kernel, fence)) return;
      for (const row of Object.values(kernel.reset_domains))
        if (row.rings.includes(ring)) row.lost = row.lost.filter((each) => each !== fence);
      ringRow(kernel, ring).jobs = [...ringRow(kernel, ring).jobs, { job, fence, irq, vars: {} }];
      passPromise(kernel, fence, ring);
    },
  },
);

export const reset: KernelObject = {
  schema: fields,
  ops: [reset_begin, reset_force_completion, reset_hardware, reset_end, reset_resubmit],
  routines: { reset_complete: [dma_fence_signal('$fence')] },
  leftovers: (kernel) =>
    Object.entries(kernel.reset_domains).flatMap(([each, { state }]) =>
      state === 'none' || state === 'wedged' ? [] : [`the reset of ${each} never ended`],
    ),
};
