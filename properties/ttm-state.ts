/**
 * ttm-state: placement, resource, tt state and accounting stay consistent; a driver touches only what is its own (B20).
 *
 * Most of it the objects say while it happens. What only a recount shows is judged when everything has come to rest.
 */
import { recount } from '../model/objects/index.ts';
import { type Property, convictsOn } from './property.ts';

const said = convictsOn(
  {
    name: 'ttm-state',
    says: 'placement, resource, tt state and accounting stay consistent; a driver touches only what is its own',
    sources: ['drivers/gpu/drm/ttm/ttm_bo.c', 'include/drm/ttm/ttm_placement.h', 'B18', 'B20'],
    fact: 'inconsistent',
  },
  ({ rule, what }) => ({ kind: rule, what, rules: [rule] }),
);

export const ttmState: Property = {
  ...said,
  rest(_machine, kernel) {
    const [first] = recount(kernel);
    return first && { property: 'ttm-state', kind: first.rule, what: first.what, links: [], rules: [first.rule] };
  },
};
