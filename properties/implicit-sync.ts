/**
 * implicit-sync: work starts only when the fences that its usage must wait for have signalled, and waits for none that
 * it need not: memory-management fences are nobody's implicit dependency.
 */
import type { Property } from './property.ts';

export const implicitSync: Property = {
  name: 'implicit-sync',
  says: 'work starts only when the fences its usage must wait for have signalled, and waits for none that it need not',
  sources: ['include/linux/dma-resv.h', 'R-22', 'R-24', 'E1.13'],
  hears: ['starts', 'waitsNeedlessly'],
  step({ facts, thread }) {
    for (const fact of facts) {
      if (fact.kind === 'starts' && fact.missed.length > 0)
        return {
          property: 'implicit-sync',
          kind: 'started too early',
          what: `${fact.job} begins with ${fact.resv} before ${fact.missed.join(', ')} signalled`,
          links: [],
          rules: ['R-24'],
        };
      if (fact.kind === 'waitsNeedlessly')
        return {
          property: 'implicit-sync',
          kind: 'waited needlessly',
          what: `${thread} lets its work wait for ${fact.fence}: ${fact.why}`,
          links: [],
          rules: ['E1.13'],
        };
    }
    return undefined;
  },
};
