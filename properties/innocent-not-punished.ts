/** innocent-not-punished: only a client that hung or misbehaved sees a timeout, a reset error or a lost job (T-2, T-8). */
import { convictsOn } from './property.ts';

export const innocentNotPunished = convictsOn(
  {
    name: 'innocent-not-punished',
    says: 'only a context that hung or misbehaved sees a timeout, a reset error or a lost job',
    sources: ['Documentation/driver-api/dma-buf.rst', 'T-2', 'T-8'],
    fact: 'punished',
  },
  ({ client, guilty, how }) =>
    guilty ? undefined : { kind: 'innocent', what: `${client} did nothing wrong and pays: ${how}`, rules: ['T-8'] },
);
