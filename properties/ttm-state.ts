/** ttm-state: placement, resource, tt state and accounting stay consistent; a driver touches only what is its own (B20). */
import { convictsOn } from './property.ts';

export const ttmState = convictsOn(
  {
    name: 'ttm-state',
    says: 'placement, resource, tt state and accounting stay consistent; a driver touches only what is its own',
    sources: ['drivers/gpu/drm/ttm/ttm_bo.c', 'include/drm/ttm/ttm_placement.h', 'B18', 'B20'],
    fact: 'inconsistent',
  },
  ({ rule, what }) => ({ kind: rule, what, rules: [rule] }),
);
