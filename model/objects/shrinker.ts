/**
 * Shrinkers: routines that give memory back when reclaim asks them (mm/shrinker.c; rules A4).
 *
 * They run on the stack of whoever reclaims, several at a time (A4.9). Taking one out of service waits for the scans that
 * are under way; who they are is kept book of only where the shrinker has a row in `shrinker_refs`.
 */
import { type Block, type KernelObject, type KernelState, instruction, pushCall, returns } from '../machine.ts';
import { type Kept, fixedName, flag, table, whole } from '../schema.ts';
import { might_sleep } from './context.ts';

const fields = {
  /** Registered shrinkers; `scan` is a routine that runs inside reclaim (A4). */
  shrinkers: table({ scan: fixedName('routines') }),
  shrinker_refs: table({
    /** Threads that are in its scan, once each time. */
    scanning: whole<readonly string[]>([]),
    unregistered: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type Refs = Kept<typeof fields>['shrinker_refs'][string];
const onRefs = ({ shrinker }: { shrinker: string }): [['shrinker_refs', string]] => [['shrinker_refs', shrinker]];

/** The shrinkers that reclaim may ask. */
export const registered = (kernel: KernelState): string[] =>
  Object.keys(kernel.shrinkers).filter((each) => kernel.shrinker_refs[each]?.unregistered !== true);

export const call_scan = instruction('call_scan', (shrinker: string) => ({ shrinker }), {
  text: ({ shrinker }) => `shrinker->scan_objects(${shrinker})`,
  local: true,
  run: (kernel, me, { shrinker }) => {
    const routine = kernel.shrinkers[shrinker]?.scan ?? '';
    const refs = kernel.shrinker_refs[shrinker];
    if (refs) refs.scanning = [...refs.scanning, me].sort();
    if (routine !== '') pushCall(kernel, me, routine, { shrinker });
  },
});

export const scan_over = instruction('scan_over', (shrinker: string) => ({ shrinker }), {
  text: () => '',
  local: true,
  run: (kernel, me, { shrinker }) => {
    const refs = kernel.shrinker_refs[shrinker];
    if (refs) refs.scanning = refs.scanning.toSpliced(refs.scanning.indexOf(me), 1);
  },
});

const unregister = instruction('unregister_shrinker', (shrinker: string) => ({ shrinker }), {
  text: ({ shrinker }) => `unregister_shrinker(&${shrinker})`,
  touches: onRefs,
  run: (kernel, me, { shrinker }) => {
    might_sleep(kernel, me, `unregister_shrinker(&${shrinker})`);
    (kernel.shrinker_refs[shrinker] as Refs).unregistered = true;
  },
});
const unregister_wait = instruction('unregister_shrinker_wait', (shrinker: string) => ({ shrinker }), {
  text: ({ shrinker }) => `unregister_shrinker(&${shrinker}) /* until nobody scans */`,
  touches: onRefs,
  waits: (kernel, _me, { shrinker }) => {
    const owedBy = [...new Set((kernel.shrinker_refs[shrinker] as Refs).scanning)];
    return owedBy.length === 0
      ? undefined
      : { on: 'shrinker', object: shrinker, owedBy, because: `${owedBy.join(', ')} scans ${shrinker}` };
  },
  run: (kernel, me) => returns(kernel, me, '0'),
});
/** No new scan begins, and those under way are waited for: not with a lock that the scan takes, and not from it (A4.7). */
export const unregister_shrinker = (shrinker: string): Block => [unregister(shrinker), unregister_wait(shrinker)];

export const shrinkerObject: KernelObject = {
  schema: fields,
  ops: [call_scan, scan_over, unregister, unregister_wait],
};
