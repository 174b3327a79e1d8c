/**
 * Resources and their managers: who has how much of which memory, and in what order it would be taken away
 * (drivers/gpu/drm/ttm/ttm_resource.c; B2, B8, B11.2, B19).
 *
 * A resource is a buffer's stay in one place, so it is called by buffer and place; while a buffer moves it has two or
 * three. Everything here happens under the LRU spinlock or the lock of the manager, hence in one step each.
 */
import { type KernelObject, type KernelState, type Thread, instruction, note, returns } from '../machine.ts';
import { holds } from './context.ts';
import { contextOf, pending } from './fence.ts';
import { pendingFences } from './resv.ts';
import {
  type Asked,
  type BulkPosition,
  type ManagerRow,
  type Place,
  complain,
  deviceOf,
  isHitch,
  managerName,
  managerOf,
  placeIn,
  resvOf,
  ttmRow,
  usesTt,
  wordsIn,
} from './ttm.ts';

declare module '../machine.ts' {
  interface Facts {
    /** A resource came to be, ended, or was handed to a ghost with its place in the list. */
    resource: { bo: string; place: string; event: 'init' | 'fini' | 'handed'; to: string };
  }
}
export const onTtmBo = ({ bo }: { bo: string }): [['ttm_bos', string]] => [['ttm_bos', bo]];
const placeOf = (kernel: KernelState, bo: string): Place | null => kernel.bos[bo]?.place ?? null;
const sizeOf = (kernel: KernelState, bo: string): number => kernel.bos[bo]?.size ?? 0;
const without = (list: readonly string[], one: string): string[] => list.filter((each) => each !== one);

/** The reservation must be held for whatever changes a buffer (B1.5, B6.2). */
export function mustReserve(kernel: KernelState, me: string, bo: string, call: string): void {
  if (!holds(kernel, me, resvOf(kernel, bo)))
    note(kernel, me, { kind: 'misuse', rule: 'B1.5', what: `${call} without holding the reservation of ${bo}` });
}

/** Are the contents of the tt somewhere else: in swap, or in backup (B3)? */
const isSwapped = (kernel: KernelState, bo: string): boolean =>
  ['swapped', 'backed_up'].includes(kernel.bos[bo]?.tt ?? '');
/** Nobody may evict it: it is pinned, or this is the resource that its swapped tt belongs to (B8.1, S-B9). */
export const isUnevictable = (kernel: KernelState, bo: string, place: Place): boolean =>
  ttmRow(kernel, bo).pin_count > 0 || (place === placeOf(kernel, bo) && isSwapped(kernel, bo));

/** At the tail of the entries of its own priority; lower priorities are evicted first. */
function appended(kernel: KernelState, lru: readonly string[], bo: string): string[] {
  const { priority } = ttmRow(kernel, bo);
  const higher = lru.findIndex((each) => !isHitch(each) && ttmRow(kernel, each).priority > priority);
  return higher < 0 ? [...lru, bo] : lru.toSpliced(higher, 0, bo);
}

// Bulk moves: a stretch of one LRU, from first to last (B8.4).

const positionKey = (kernel: KernelState, bo: string, place: Place): string => {
  const { device, priority } = ttmRow(kernel, bo);
  return `${managerName(device, place)}/${priority}`;
};
function setPosition(kernel: KernelState, bo: string, place: Place, position: BulkPosition | undefined): void {
  const bulk = kernel.bulk_moves[ttmRow(kernel, bo).bulk_move as string];
  if (!bulk) return;
  const key = positionKey(kernel, bo, place);
  const others = Object.entries(bulk.positions).filter(([each]) => each !== key);
  bulk.positions = Object.fromEntries(position ? [...others, [key, position]] : others);
}
const positionOf = (kernel: KernelState, bo: string, place: Place): BulkPosition | undefined =>
  kernel.bulk_moves[ttmRow(kernel, bo).bulk_move ?? '']?.positions[positionKey(kernel, bo, place)];
/** The next or the previous resource on the list, hitches skipped. */
function neighbour(lru: readonly string[], bo: string, step: 1 | -1): string {
  let at = lru.indexOf(bo) + step;
  while (isHitch(lru[at] ?? '')) at += step;
  return lru[at] as string;
}
/** Right behind the last member, which it is from now on. */
function toBulkTail(kernel: KernelState, bo: string, place: Place, manager: ManagerRow, position: BulkPosition): void {
  if (position.last === bo) return;
  const first = position.first === bo ? neighbour(manager.lru, bo, 1) : position.first;
  const rest = without(manager.lru, bo);
  manager.lru = rest.toSpliced(rest.indexOf(position.last) + 1, 0, bo);
  setPosition(kernel, bo, place, { first, last: bo });
}
function addToBulk(kernel: KernelState, me: string, bo: string, place: Place): void {
  const manager = managerOf(kernel, bo, place);
  if (ttmRow(kernel, bo).bulk_move === null || !manager || isUnevictable(kernel, bo, place)) return;
  const position = positionOf(kernel, bo, place);
  if (!position) return setPosition(kernel, bo, place, { first: bo, last: bo });
  if (resvOf(kernel, position.first) !== resvOf(kernel, bo))
    complain(kernel, me, bo, 'S-B10', `${bo} joins a bulk move of buffers that have another reservation than its own`);
  toBulkTail(kernel, bo, place, manager, position);
}
function removeFromBulk(kernel: KernelState, bo: string, place: Place): void {
  const manager = managerOf(kernel, bo, place);
  const position = positionOf(kernel, bo, place);
  if (!manager || !position || isUnevictable(kernel, bo, place)) return;
  const { first, last } = position;
  if (first === bo && last === bo) setPosition(kernel, bo, place, undefined);
  else if (first === bo) setPosition(kernel, bo, place, { first: neighbour(manager.lru, bo, 1), last });
  else if (last === bo) setPosition(kernel, bo, place, { first, last: neighbour(manager.lru, bo, -1) });
  else {
    const rest = without(manager.lru, bo);
    manager.lru = rest.toSpliced(rest.indexOf(last) + 1, 0, bo);
  }
}

// The lists.

/** A buffer that moves within one manager stands there twice; its own resource is the older one. */
function takeOff(kernel: KernelState, bo: string, place: Place, which: 'own' | 'extra' = 'own'): void {
  const manager = managerOf(kernel, bo, place);
  const at = (which === 'own' ? manager?.lru.indexOf(bo) : manager?.lru.lastIndexOf(bo)) ?? -1;
  if (manager && at >= 0) manager.lru = manager.lru.toSpliced(at, 1);
  else {
    const device = deviceOf(kernel, bo);
    if (device) device.unevictable = without(device.unevictable, bo);
  }
}
function putOn(kernel: KernelState, bo: string, place: Place): void {
  const device = deviceOf(kernel, bo);
  const manager = managerOf(kernel, bo, place);
  if (isUnevictable(kernel, bo, place)) {
    if (device) device.unevictable = [...device.unevictable, bo];
  } else if (manager) manager.lru = appended(kernel, manager.lru, bo);
}
/** Used just now: to the tail of its bulk move, of its LRU, or of the unevictable list (B8.2, B8.3). */
export function moveToLruTail(kernel: KernelState, bo: string): void {
  const place = placeOf(kernel, bo);
  if (place === null) return;
  const manager = managerOf(kernel, bo, place);
  const position = isUnevictable(kernel, bo, place) ? undefined : positionOf(kernel, bo, place);
  if (position && manager) return toBulkTail(kernel, bo, place, manager, position);
  takeOff(kernel, bo, place);
  putOn(kernel, bo, place);
}
/** Whether it may be evicted is about to change: leave the bulk move before, change, and stand where it now belongs. */
export function changeEvictability(kernel: KernelState, me: string, bo: string, change: () => void): void {
  const place = placeOf(kernel, bo);
  if (place !== null) removeFromBulk(kernel, bo, place);
  if (place !== null) takeOff(kernel, bo, place);
  change();
  if (place === null) return;
  putOn(kernel, bo, place);
  addToBulk(kernel, me, bo, place);
}

// Allocate, free, install.

/** '0', '-ENOSPC' when it is full, or as the manager refuses. The resource is on its list from here on (B8.1, B19.1). */
export function allocResource(kernel: KernelState, me: string, bo: string, asked: Asked): string {
  const place = placeIn(asked);
  const manager = managerOf(kernel, bo, place);
  const size = sizeOf(kernel, bo);
  if (manager && manager.refuses !== '') return manager.refuses;
  if (manager && manager.size > 0 && manager.usage + size > manager.size) return '-ENOSPC';
  const row = ttmRow(kernel, bo);
  if (row.deleted) complain(kernel, me, bo, 'S-B5', `${bo} was deleted, and gets a new resource in ${place}`);
  if (manager?.state === 'gone') complain(kernel, me, bo, 'S-B7', `${bo} goes to ${place}, whose manager is gone`);
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
    complain(kernel, me, bo, 'S-B7', `${me} gives back what ${bo} has in ${place} after the manager was torn down`);
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
    complain(kernel, me, bo, 'S-B3', `${me} frees the ${place} of ${bo} before ${busy.join(' and ')} signalled`);
  (kernel.bos[bo] as { place: Place | null }).place = null;
  row.placement = '';
}
/** The allocated resource becomes the buffer's own; the old one is gone already, or freed here. */
export function installResource(kernel: KernelState, me: string, bo: string, to: Place): void {
  const row = ttmRow(kernel, bo);
  const from = placeOf(kernel, bo);
  if (row.pin_count > 0 && from !== null)
    complain(kernel, me, bo, 'S-B4', `${me} moves ${bo} although it is pinned in ${from}`);
  const at = extraIn(kernel, bo, to);
  if (at < 0) return complain(kernel, me, bo, 'B7.4', `${me} moves ${bo} to ${to}, where it has no resource`);
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
    complain(kernel, me, bo, 'B11.2', `the manager of ${place} forgets ${each}, which has not signalled, for ${fence}`);
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
      complain(
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
    if (pin_count === 0)
      note(kernel, me, { kind: 'misuse', rule: 'B8.3', what: `${me} unpins ${bo}, which is not pinned` });
    else pinned(kernel, me, bo, pin_count - 1);
  },
});
/** Used just now (B8.2); ttm_bo_unreserve does it too. */
export const ttm_bo_move_to_lru_tail = instruction('ttm_bo_move_to_lru_tail', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_move_to_lru_tail(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_move_to_lru_tail');
    moveToLruTail(kernel, bo);
  },
});
/** Join this bulk move, or leave the one it is in when it is 'none' (B8.4). */
export const ttm_bo_set_bulk_move = instruction('ttm_bo_set_bulk_move', (bo: string, bulk: string) => ({ bo, bulk }), {
  text: ({ bo, bulk }) => `ttm_bo_set_bulk_move(${bo}, ${bulk === 'none' ? 'NULL' : bulk})`,
  touches: ({ bo, bulk }) => [['ttm_bos', bo], ...(bulk === 'none' ? [] : [['bulk_moves', bulk] as const])],
  run: (kernel, me, { bo, bulk }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_set_bulk_move');
    const row = ttmRow(kernel, bo);
    const to = bulk === 'none' ? null : bulk;
    if (row.bulk_move === to) return;
    const place = placeOf(kernel, bo);
    if (place !== null) removeFromBulk(kernel, bo, place);
    row.bulk_move = to;
    if (place !== null) addToBulk(kernel, me, bo, place);
  },
});
/** The whole stretch to the tail at once; a walk that stands inside stays behind, and meets it again later (B8.5). */
export const ttm_lru_bulk_move_tail = instruction('ttm_lru_bulk_move_tail', (bulk: string) => ({ bulk }), {
  text: ({ bulk }) => `ttm_lru_bulk_move_tail(&${bulk})`,
  touches: ({ bulk }) => [['bulk_moves', bulk]],
  run: (kernel, me, { bulk }) => {
    for (const [key, { first, last }] of Object.entries(kernel.bulk_moves[bulk]?.positions ?? {})) {
      const manager = kernel.managers[key.slice(0, key.lastIndexOf('/'))] as ManagerRow;
      mustReserve(kernel, me, first, 'ttm_lru_bulk_move_tail');
      mustReserve(kernel, me, last, 'ttm_lru_bulk_move_tail');
      const stretch = manager.lru.slice(manager.lru.indexOf(first), manager.lru.indexOf(last) + 1);
      const members = stretch.filter((each) => !isHitch(each));
      const at = manager.lru.indexOf(first);
      const rest = manager.lru.toSpliced(at, stretch.length, ...stretch.filter(isHitch));
      manager.lru = members.reduce<string[]>((lru, member) => appended(kernel, lru, member), rest);
    }
  },
});

// Walking: the hitch of a walk stands behind the buffer it looked at last (B8.5, B8.6).

/** Unique for each walk: a thread that walks inside a walk has another depth. */
const hitchOf = (kernel: KernelState, me: string): string => `#${me}.${(kernel.threads[me] as Thread).frames.length}`;
/** The buffers still ahead of this walk, in order. */
export function ahead(kernel: KernelState, me: string, manager: ManagerRow): string[] {
  const at = manager.lru.indexOf(hitchOf(kernel, me));
  return manager.lru.slice(at + 1).filter((each) => !isHitch(each));
}
/** The walk has looked at this one; the next one is behind it. */
export function passHitch(kernel: KernelState, me: string, manager: ManagerRow, bo: string): void {
  const hitch = hitchOf(kernel, me);
  const rest = without(manager.lru, hitch);
  manager.lru = rest.toSpliced(rest.indexOf(bo) + 1, 0, hitch);
}
export function dropHitch(kernel: KernelState, me: string, manager: ManagerRow): void {
  const hitch = hitchOf(kernel, me);
  if (manager.lru.includes(hitch)) manager.lru = without(manager.lru, hitch);
}

export const ttmResource: KernelObject = {
  ops: [
    ttm_resource_alloc,
    ttm_resource_free,
    ttm_resource_manager_usage,
    ttm_resource_manager_set_used,
    ttm_resource_manager_fini,
    ttm_bo_pin,
    ttm_bo_unpin,
    ttm_bo_move_to_lru_tail,
    ttm_bo_set_bulk_move,
    ttm_lru_bulk_move_tail,
  ],
};
