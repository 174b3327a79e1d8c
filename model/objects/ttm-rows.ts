/**
 * The rows of a TTM machine, as a design declares them, and the recount of what they say later (B19, B20).
 *
 * A design lists buffers and memory; the lists, the usage and the pages in use follow from where the buffers are. The
 * recount is the same the other way round.
 */
import type { KernelState } from '../machine.ts';
import {
  DEVICE,
  type ManagerRow,
  type Place,
  type TtmBoRow,
  type TtmDeviceRow,
  deviceOf,
  isHitch,
  managerName,
  placeIn,
  resvOf,
  ttPages,
  ttmRow,
} from './ttm.ts';

/**
 * What does not add up, counted again from the buffers alone (S-B8, S-B9, S-B10, B17.3). Reads every row: for states at
 * rest and for tests, not for a step.
 */
export function recount(kernel: KernelState): { rule: string; what: string }[] {
  const broken: { rule: string; what: string }[] = [];
  const bos = Object.keys(kernel.ttm_bos);
  const stays = (bo: string): Place[] => {
    const place = kernel.bos[bo]?.place ?? null;
    return [...(place === null ? [] : [place]), ...ttmRow(kernel, bo).extra.map(placeIn)];
  };
  const sizeOf = (bo: string): number => kernel.bos[bo]?.size ?? 0;
  const away = (bo: string): boolean => ['swapped', 'backed_up'].includes(kernel.bos[bo]?.tt ?? '');
  for (const [manager, { usage, lru }] of Object.entries(kernel.managers)) {
    const holding = bos.flatMap((bo) =>
      stays(bo)
        .filter((place) => managerName(ttmRow(kernel, bo).device, place) === manager)
        .map(() => bo),
    );
    const sum = holding.reduce((pages, bo) => pages + sizeOf(bo), 0);
    if (sum !== usage)
      broken.push({ rule: 'S-B8', what: `${manager} says ${usage} pages and its buffers have ${sum}` });
    const listed = lru.filter((entry) => !isHitch(entry));
    for (const bo of new Set([...holding, ...listed])) {
      const here = listed.filter((entry) => entry === bo).length;
      const out =
        kernel.ttm_devices[ttmRow(kernel, bo).device]?.unevictable.filter((entry) => entry === bo).length ?? 0;
      if (here + out < 1 || (here > 0 && !holding.includes(bo)))
        broken.push({ rule: 'S-B9', what: `${bo} and the list of ${manager} do not agree on whether it is there` });
    }
  }
  for (const bo of bos) {
    const row = ttmRow(kernel, bo);
    const out = deviceOf(kernel, bo)?.unevictable.includes(bo) ?? false;
    const should = kernel.bos[bo]?.place != null && (row.pin_count > 0 || away(bo));
    if (out !== should)
      broken.push({
        rule: 'S-B9',
        what: `${bo} is ${out ? '' : 'not '}on the unevictable list, but it ${should ? 'is' : 'is neither'} pinned or swapped`,
      });
  }
  for (const [bulk, { positions }] of Object.entries(kernel.bulk_moves))
    for (const { first, last } of Object.values(positions))
      if (resvOf(kernel, first) !== resvOf(kernel, last))
        broken.push({
          rule: 'S-B10',
          what: `${first} and ${last} move together in ${bulk}, but have different reservations`,
        });
  const all = kernel.ttm_globals['ttm'];
  const pages = bos
    .filter((bo) => kernel.bos[bo]?.tt === 'populated' && ttmRow(kernel, bo).type !== 'sg')
    .reduce((sum, bo) => sum + ttPages(kernel, bo), 0);
  if (all && all.pages_allocated !== pages)
    broken.push({ rule: 'S-B8', what: `TTM says that it has ${all.pages_allocated} pages, and its tts have ${pages}` });
  return broken;
}

type Rows = Record<string, Record<string, unknown>>;
/** A buffer as a design declares it: fields of `bos` and `ttm_bos` together. */
export type TtmBoSpec = Partial<TtmBoRow> & {
  readonly place?: Place | null;
  readonly size?: number;
  readonly tt?: string;
  readonly pages?: string;
  readonly vram?: string;
  readonly expected?: string;
  readonly busy_in_system?: boolean;
};
export interface TtmSpec {
  readonly bos: Readonly<Record<string, TtmBoSpec>>;
  /** By place; of another device than `bdev` by device and place: `camera.SYSTEM`. */
  readonly managers?: Readonly<Record<string, Partial<ManagerRow>>>;
  readonly devices?: Readonly<Record<string, Partial<TtmDeviceRow>>>;
  readonly bulk_moves?: readonly string[];
  readonly pages_limit?: number;
}
const CONTENTS = ['place', 'size', 'tt', 'pages', 'vram', 'expected', 'busy_in_system'];

/**
 * The rows of a TTM machine: buffers with a reservation each, managers with the usage and the LRU that the buffers'
 * places give, devices in order, and the global mutex. Buffers in the order of declaration, first used first; a buffer
 * with `kref: 0` does not exist yet.
 */
export function ttm_objects({
  bos,
  managers = {},
  devices = { [DEVICE]: {} },
  bulk_moves = [],
  pages_limit = 0,
}: TtmSpec): Record<string, Rows> {
  const names = Object.keys(bos);
  const spec = (bo: string): TtmBoSpec => bos[bo] as TtmBoSpec;
  const inManager = (manager: string): string[] =>
    names.filter((bo) => {
      const { place = null, device = DEVICE } = spec(bo);
      return place !== null && managerName(device, place) === manager;
    });
  // Part of a page is a page.
  const size = (bo: string): number => Math.ceil(spec(bo).size ?? 1);
  const sum = (which: readonly string[]): number => which.reduce((pages, bo) => pages + size(bo), 0);
  const swapped = (bo: string): boolean => ['swapped', 'backed_up'].includes(spec(bo).tt ?? '');
  const away = (bo: string): boolean => (spec(bo).pin_count ?? 0) > 0 || swapped(bo);
  const byPriority = (which: readonly string[]): string[] =>
    [...which].sort((a, b) => (spec(a).priority ?? 0) - (spec(b).priority ?? 0));
  const of = <T>(keys: readonly string[], row: (key: string) => T): Record<string, T> =>
    Object.fromEntries(keys.map((key) => [key, row(key)]));
  const part = (bo: string, keep: (field: string) => boolean): Record<string, unknown> =>
    Object.fromEntries(Object.entries(spec(bo)).filter(([field]) => keep(field)));
  return {
    bos: of(names, (bo) => ({
      tt: 'none',
      place: null,
      ...part(bo, (field) => CONTENTS.includes(field)),
      size: size(bo),
      swap: swapped(bo) ? (spec(bo).pages ?? 'zero') : null,
    })),
    ttm_bos: of(names, (bo) => ({
      device: DEVICE,
      backed_up: spec(bo).tt === 'backed_up' ? size(bo) + (spec(bo).extra_pages ?? 0) : 0,
      ...part(bo, (field) => !CONTENTS.includes(field)),
    })),
    resvs: of([...new Set([...names, ...names.map((bo) => spec(bo).shares ?? bo)])], () => ({})),
    managers: Object.fromEntries(
      Object.entries(managers).map(([place, row]) => {
        const manager = place.includes('.') ? place : managerName(DEVICE, place as Place);
        const here = inManager(manager);
        return [manager, { usage: sum(here), lru: byPriority(here.filter((bo) => !away(bo))), ...row }];
      }),
    ),
    ttm_devices: of(Object.keys(devices), (device) => ({
      unevictable: names.filter((bo) => (spec(bo).device ?? DEVICE) === device && spec(bo).place != null && away(bo)),
      ...devices[device],
    })),
    bulk_moves: of(bulk_moves, () => ({})),
    ttm_globals: {
      ttm: {
        devices: Object.keys(devices).filter((device) => (devices[device]?.state ?? 'live') === 'live'),
        pages_allocated: names
          .filter((bo) => spec(bo).tt === 'populated' && spec(bo).type !== 'sg')
          .reduce((pages, bo) => pages + size(bo) + (spec(bo).extra_pages ?? 0), 0),
        pages_limit,
      },
    },
    locks: { ttm_global_mutex: {} },
  };
}
