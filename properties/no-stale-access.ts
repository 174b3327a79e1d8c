/** no-stale-access: no device and no CPU touches pages after they were moved, unmapped, swapped or freed (I-14, S-A5). */
import { convictsOn } from './property.ts';

export const noStaleAccess = convictsOn(
  {
    name: 'no-stale-access',
    says: 'no device and no CPU touches pages after they were moved, unmapped, swapped, freed or revoked',
    sources: ['include/drm/ttm/ttm_placement.h', 'I-14', 'S-A5', 'S-F2', 'B18'],
    fact: 'accesses',
  },
  ({ bo, by, stale }) =>
    stale === null
      ? undefined
      : { kind: 'stale access', what: `${by} touches ${bo} although ${stale}`, rules: ['I-14'] },
);
