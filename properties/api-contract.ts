/** api-contract: the rules of each call. The objects say as a fact when one is broken; see rule ids in model/objects. */
import { convictsOn } from './property.ts';

export const apiContract = convictsOn(
  {
    name: 'api-contract',
    says: 'the rules of each call: locks held, slots reserved, context may sleep, seqno order, error before signal',
    sources: ['drivers/dma-buf/dma-fence.c', 'drivers/dma-buf/dma-resv.c', 'fence-core appendix 3'],
    fact: 'misuse',
  },
  ({ rule, what }) => ({ kind: rule, what, rules: [rule] }),
);
