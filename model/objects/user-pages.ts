/**
 * The pages of a userptr: what a driver collected, what its device maps, and who keeps them from going away
 * (mm/gup.c, mm/hmm.c; rules A11, S-A5, S-F1, S-F2).
 *
 * Opt in, with a row in `user_pages` beside the one in `userptrs`. Pages are 'the pages' of the process until an
 * invalidation of their range has returned from its start; from there on they are 'old pages'. A device that reaches old
 * pages reaches memory that is somebody else's by now, unless they are pinned: then it is only not what the process sees.
 */
import { type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { type Kept, fixedName, int, oneOf, table } from '../schema.ts';

const MOST_PINS = 4;
const pages = oneOf('nothing', 'the pages', 'old pages');
const fields = {
  user_pages: table({
    range: fixedName('ranges'),
    /** In the driver's list of pages. */
    collected: pages,
    /** Behind the device's page tables. */
    mapped: pages,
    /** References of pin_user_pages that were not given back: the pages stay, wherever the process goes (A11.2). */
    pins: int(MOST_PINS),
  }),
};
type PagesRow = Kept<typeof fields>['user_pages'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
const rowOf = (kernel: KernelState, userptr: string): PagesRow => kernel.user_pages[userptr] as PagesRow;
const onPages = ({ userptr }: { userptr: string }): [['user_pages', string]] => [['user_pages', userptr]];
const behind = (kernel: KernelState, range: string): PagesRow[] =>
  Object.values(kernel.user_pages).filter((row) => row.range === range);

/** Is some page of the range pinned? Then it is neither reclaimed nor migrated (A11.2). */
export const isPinned = (kernel: KernelState, range: string): boolean =>
  behind(kernel, range).some(({ pins }) => pins > 0);
/** The start of an invalidation has returned: what was collected and mapped before is old (S-A5, A9.2). */
export function pagesGetOld(kernel: KernelState, range: string): void {
  for (const row of behind(kernel, range)) {
    if (row.collected === 'the pages') row.collected = 'old pages';
    if (row.mapped === 'the pages') row.mapped = 'old pages';
  }
}
/** The pages of the process as they are now; while an invalidation is under way, those that are about to go. */
export function collectPages(kernel: KernelState, userptr: string, invalidating: boolean): void {
  if (kernel.user_pages[userptr]) rowOf(kernel, userptr).collected = invalidating ? 'old pages' : 'the pages';
}
/** One more reference, or one fewer; false when there is none to give back. */
export function pinPages(kernel: KernelState, userptr: string, by: 1 | -1): boolean {
  const row = rowOf(kernel, userptr);
  if (row.pins + by < 0) return false;
  row.pins += by;
  return true;
}

/** Write the collected pages into the device's page tables. */
export const userptr_map = instruction('userptr_map', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `map ${userptr} for the device`,
  touches: onPages,
  run: (kernel, _me, { userptr }) => {
    rowOf(kernel, userptr).mapped = rowOf(kernel, userptr).collected;
  },
});
/** Take them out again: a later access faults instead of reaching old memory. */
export const userptr_unmap = instruction('userptr_unmap', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `unmap ${userptr} from the device`,
  touches: onPages,
  run: (kernel, _me, { userptr }) => {
    rowOf(kernel, userptr).mapped = 'nothing';
  },
});
/** The device touches what it has mapped: are these still pages that it may touch (S-A5, S-F2)? */
export const userptr_access = instruction('userptr_access', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `device touches ${userptr}`,
  touches: onPages,
  run: (kernel, me, { userptr }) => {
    const { mapped, pins } = rowOf(kernel, userptr);
    const stale =
      mapped === 'nothing'
        ? `${userptr} is not mapped`
        : mapped === 'old pages' && pins === 0
          ? `the pages behind its mapping of ${userptr} were taken away`
          : null;
    note(kernel, me, { kind: 'accesses', bo: userptr, by: me, stale });
  },
});
/** Does the device see what the process sees? ret '1' or '0'. Pins keep pages alive; they do not keep them the process's (A11). */
export const userptr_is_coherent = instruction('userptr_is_coherent', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `${userptr} is what the process sees`,
  touches: onPages,
  run: (kernel, me, { userptr }) => returns(kernel, me, rowOf(kernel, userptr).mapped === 'the pages' ? '1' : '0'),
});

export const userPages: KernelObject = {
  schema: fields,
  ops: [userptr_map, userptr_unmap, userptr_access, userptr_is_coherent],
  leftovers: (kernel) =>
    Object.entries(kernel.user_pages).flatMap(([each, { pins }]) => (pins > 0 ? [`${each} is still pinned`] : [])),
};
