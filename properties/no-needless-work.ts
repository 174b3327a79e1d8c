/**
 * no-needless-work: what costs memory or time is done because somebody needs it. A cost, not a danger: whatever breaks
 * it still ends well, but pages are allocated when memory is short, and processes stop that were in nobody's way.
 */
import type { Property } from './property.ts';

export const noNeedlessWork: Property = {
  name: 'no-needless-work',
  says: 'no pages populated only to be cleared or thrown away, no process stopped whose buffers were not needed',
  sources: ['drivers/gpu/drm/ttm/ttm_bo.c', 'drivers/gpu/drm/amd/amdkfd/kfd_process.c', 'B4.6', 'E1.3', 'E1.13'],
  hears: ['populated', 'stopped'],
  step({ facts, thread }) {
    for (const fact of facts) {
      if (fact.kind === 'populated' && fact.needless !== null)
        return {
          property: 'no-needless-work',
          kind: 'populated needlessly',
          what: `${thread} allocates pages for ${fact.bo}, which holds nothing: ${fact.needless}`,
          links: [],
          rules: ['B4.6'],
        };
      if (fact.kind === 'stopped' && fact.needless !== null)
        return {
          property: 'no-needless-work',
          kind: 'stopped needlessly',
          what: `${thread} stops ${fact.queue}: ${fact.needless}`,
          links: [],
          rules: ['E1.3'],
        };
    }
    return undefined;
  },
};
