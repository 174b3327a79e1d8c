/** contents-kept: a buffer reads back what was last written, across every move, swap and bounce (B4.1, S-B1). */
import { convictsOn } from './property.ts';

export const contentsKept = convictsOn(
  {
    name: 'contents-kept',
    says: "a buffer reads back what was last written; nobody reads another process's old data",
    sources: ['drivers/gpu/drm/ttm/ttm_tt.c', 'B4.1', 'S-B1'],
    fact: 'reads',
  },
  ({ bo, by, got, expected }) =>
    got === expected
      ? undefined
      : {
          kind: 'lost contents',
          what: `${by} reads ${bo} and finds "${got}", but "${expected}" was written last`,
          rules: ['B4.1'],
        },
);
