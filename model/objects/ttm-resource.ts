/**
 * Resources and their managers: who has how much of which memory (drivers/gpu/drm/ttm/ttm_resource.c; B2, B11.2, B19).
 *
 * A resource is a buffer's stay in one place, so it is called by buffer and place; while a buffer moves it has two or
 * three. Everything here happens under the lock of the manager, hence in one step each.
 */
import { type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { contextOf, pending } from './fence.ts';
import { pendingFences } from './resv.ts';
import {
  type Asked,
  type ManagerRow,
  type Place,
  inconsistent,
  deviceOf,
  isHitch,
  managerOf,
  placeIn,
  resvOf,
  ttmRow,
  usesTt,
  wordsIn,
} from './ttm.ts';
import {
  addToBulk,
  changeEvictability,
  mustReserve,
  onTtmBo,
  placeOf,
  putOn,
  removeFromBulk,
  takeOff,
} from './ttm-lru.ts';

declare module '../machine.ts' {
  interface Facts {
    /** A resource came to be, ended, or was handed to a ghost with its place in the list. */
    resource: { bo: string; place: string; event: 'init' | 'fini' | 'handed'; to: string };
  }
}
const sizeOf = (kernel: KernelState, bo: string): number => kernel.bos[bo]?.size ?? 0;

// Allocate, free, install.

/** '0', '-ENOSPC' when it is full, or as the manager refuses. The resource is on its list from here on (B8.1, B19.1). */
export function allocResource(kernel: KernelState, me: string, bo: string, asked: Asked): string {
  const place = placeIn(asked);
  const manager = managerOf(kernel, bo, place);
  const size = sizeOf(kernel, bo);
  if (manager && manager.refuses !== '') return manager.refuses;
  if (manager && manager.size > 0 && manager.usage + size > manager.size) return '-ENOSPC';
  const row = ttmRow(kernel, bo);
  if (row.deleted) inconsistent(kernel, me, bo, 'S-B5', `${bo} was deleted, and gets a new resource in ${place}`);
  if (manager?.state === 'gone') inconsistent(kernel, me, bo, 'S-B7', `${bo} goes to ${place}, whose manager is gone`);
  if (manager) manager.usage += size;
  row.extra = [...row.extra, asked];
  note(kernel, me, { kind: 'resource', bo, place, event: 'init', to: '' });
  putOn(kernel, bo, place);
  addToBulk(kernel, me, bo, place);
  return '0';
}
/** Where among its extra resources is the one in this place? The latest, if there are two. */
const extraIn = (kernel: KernelState, bo: string, place: Place): number =>
  ttmRow(kernel, bo).extra.findLastIndex((each) => placeIn(each) === place);
const covered = (kernel: KernelState, manager: ManagerRow | undefined, fence: string): boolean =>
  manager?.move.some((each) => each === fence || contextOf(kernel, each) === contextOf(kernel, fence)) ?? false;

/** Give the memory back; whoever still works with it must be known to the manager (S-B3). */
export function freeResource(kernel: KernelState, me: string, bo: string, place: Place, taken: 'own' | 'extra'): void {
  const manager = managerOf(kernel, bo, place);
  const row = ttmRow(kernel, bo);
  if (manager?.state === 'gone')
    inconsistent(kernel, me, bo, 'S-B7', `${me} gives back what ${bo} has in ${place} after the manager was torn down`);
  note(kernel, me, { kind: 'resource', bo, place, event: 'fini', to: '' });
  removeFromBulk(kernel, bo, place);
  takeOff(kernel, bo, place, taken);
  if (manager) manager.usage = Math.max(0, manager.usage - sizeOf(kernel, bo));
  if (taken === 'extra') {
    row.extra = row.extra.toSpliced(extraIn(kernel, bo, place), 1);
    return;
  }
  const busy = usesTt(kernel, bo, place)
    ? []
    : pendingFences(kernel, resvOf(kernel, bo), 'BOOKKEEP').filter((fence) => !covered(kernel, manager, fence));
  if (busy.length > 0)
    inconsistent(kernel, me, bo, 'S-B3', `${me} frees the ${place} of ${bo} before ${busy.join(' and ')} signalled`);
  (kernel.bos[bo] as { place: Place | null }).place = null;
  row.placement = '';
}
/** The allocated resource becomes the buffer's own; the old one is gone already, or freed here. */
export function installResource(kernel: KernelState, me: string, bo: string, to: Place): void {
  const row = ttmRow(kernel, bo);
  const from = placeOf(kernel, bo);
  if (row.pin_count > 0 && from !== null)
    inconsistent(kernel, me, bo, 'S-B4', `${me} moves ${bo} although it is pinned in ${from}`);
  const at = extraIn(kernel, bo, to);
  if (at < 0) return inconsistent(kernel, me, bo, 'B7.4', `${me} moves ${bo} to ${to}, where it has no resource`);
  if (from !== null) freeResource(kernel, me, bo, from, 'own');
  row.placement = wordsIn(row.extra[at] as Asked);
  row.extra = row.extra.toSpliced(at, 1);
  (kernel.bos[bo] as { place: Place | null }).place = to;
}
/** Hand the buffer's own resource to its ghost, where it stands in the list (B11.1). */
export function handResource(kernel: KernelState, me: string, bo: string, ghost: string): void {
  const place = placeOf(kernel, bo);
  if (place === null) return;
  note(kernel, me, { kind: 'resource', bo, place, event: 'handed', to: ghost });
  removeFromBulk(kernel, bo, place);
  const manager = managerOf(kernel, bo, place);
  const device = deviceOf(kernel, bo);
  const replaced = (list: readonly string[]): string[] => list.map((each) => (each === bo ? ghost : each));
  if (manager?.lru.includes(bo)) manager.lru = replaced(manager.lru);
  else if (device) device.unevictable = replaced(device.unevictable);
  (kernel.bos[ghost] as { place: Place | null }).place = place;
  (kernel.bos[bo] as { place: Place | null }).place = null;
}

/** Remember the fence of a move whose old memory is given back now. Only so many are remembered (B1.3, B1.4, B11.2). */
export function rememberMove(kernel: KernelState, me: string, bo: string, fence: string): void {
  const place = placeOf(kernel, bo);
  const manager = place === null ? undefined : managerOf(kernel, bo, place);
  if (!manager) return;
  const context = contextOf(kernel, fence);
  const others = manager.move.filter((each) => pending(kernel, each) && contextOf(kernel, each) !== context);
  const kept = others.slice(Math.max(0, others.length - (manager.move_fences - 1)));
  for (const each of others.filter((other) => !kept.includes(other)))
    inconsistent(
      kernel,
      me,
      bo,
      'B11.2',
      `the manager of ${place} forgets ${each}, which has not signalled, for ${fence}`,
    );
  manager.move = [...kept, fence];
}

/** Allocate a resource for the buffer in this place: ret '0' or the error. */
export const ttm_resource_alloc = instruction('ttm_resource_alloc', (bo: string, place: Asked) => ({ bo, place }), {
  text: ({ bo, place }) => `ttm_resource_alloc(${bo}, ${place})`,
  touches: onTtmBo,
  run: (kernel, me, { bo, place }) => returns(kernel, me, allocResource(kernel, me, bo, place)),
});
/** Give a resource back; without a place, the buffer's own. Keeps ret. */
export const ttm_resource_free = instruction(
  'ttm_resource_free',
  (bo: string, place: Asked | '' = '') => ({ bo, place }),
  {
    text: ({ bo, place }) => `ttm_resource_free(${bo}, ${place === '' ? `&${bo}->resource` : place})`,
    touches: onTtmBo,
    run: (kernel, me, { bo, place }) => {
      const own = placeOf(kernel, bo);
      if (place !== '' && extraIn(kernel, bo, placeIn(place)) >= 0)
        freeResource(kernel, me, bo, placeIn(place), 'extra');
      else if (own !== null && (place === '' || place === own)) freeResource(kernel, me, bo, own, 'own');
    },
  },
);
/** What the manager has given out, in pages: ret. */
export const ttm_resource_manager_usage = instruction(
  'ttm_resource_manager_usage',
  (manager: string) => ({ manager }),
  {
    text: ({ manager }) => `ttm_resource_manager_usage(${manager})`,
    touches: ({ manager }) => [['managers', manager]],
    run: (kernel, me, { manager }) => returns(kernel, me, String((kernel.managers[manager] as ManagerRow).usage)),
  },
);
/** From here on nothing new is placed there, or is again (B6.4). */
export const ttm_resource_manager_set_used = instruction(
  'ttm_resource_manager_set_used',
  (manager: string, used: boolean) => ({ manager, used }),
  {
    text: ({ manager, used }) => `ttm_resource_manager_set_used(${manager}, ${used})`,
    touches: ({ manager }) => [['managers', manager]],
    run: (kernel, _me, { manager, used }) => {
      (kernel.managers[manager] as ManagerRow).state = used ? 'used' : 'unused';
    },
  },
);
/** The manager is no more. What is still in its list will reach for it (B17.1, B17.3, S-B7). */
export const ttm_resource_manager_fini = instruction('ttm_resource_manager_fini', (manager: string) => ({ manager }), {
  text: ({ manager }) => `ttm_set_driver_manager(bdev, ${manager}, NULL)`,
  touches: ({ manager }) => [['managers', manager]],
  run: (kernel, me, { manager }) => {
    const row = kernel.managers[manager] as ManagerRow;
    const left = row.lru.filter((each) => !isHitch(each));
    if (left.length > 0 || row.usage > 0)
      inconsistent(
        kernel,
        me,
        left[0] ?? manager,
        'S-B7',
        `the manager of ${manager} is torn down with ${left.join(', ') || `${row.usage} pages`} in it`,
      );
    row.state = 'gone';
    row.move = [];
  },
});

const pinned = (kernel: KernelState, me: string, bo: string, count: number): void => {
  const row = ttmRow(kernel, bo);
  const flips = (row.pin_count === 0) !== (count === 0);
  const set = (): void => {
    row.pin_count = count;
  };
  if (flips) changeEvictability(kernel, me, bo, set);
  else set();
};
/** One more who needs it to stay where it is (B8.3). */
export const ttm_bo_pin = instruction('ttm_bo_pin', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_pin(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_pin');
    pinned(kernel, me, bo, ttmRow(kernel, bo).pin_count + 1);
  },
});
export const ttm_bo_unpin = instruction('ttm_bo_unpin', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_unpin(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_unpin');
    const { pin_count } = ttmRow(kernel, bo);
    if (pin_count === 0) complain(kernel, me, 'B8.3', `${me} unpins ${bo}, which is not pinned`);
    else pinned(kernel, me, bo, pin_count - 1);
  },
});
export const ttmResource: KernelObject = {
  ops: [
    ttm_resource_alloc,
    ttm_resource_free,
    ttm_resource_manager_usage,
    ttm_resource_manager_set_used,
    ttm_resource_manager_fini,
    ttm_bo_pin,
    ttm_bo_unpin,
  ],
};
