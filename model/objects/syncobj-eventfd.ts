/** An eventfd instead of a wait: it fires when a point exists, or when it is over (drivers/gpu/drm/drm_syncobj.c; SO-26). */
import { type KernelObject, instruction, returns } from '../machine.ts';
import { answering } from './fence-signal.ts';
import { BAD_FD } from './sync-file.ts';
import { fireEventfd, handleExists, materialised, onSyncobj, syncobjRow } from './syncobj.ts';

/** EVENTFD: without waiting, let an eventfd fire when the point exists, or when it is over (SO-26). */
export const drm_syncobj_eventfd = instruction(
  'drm_syncobj_eventfd',
  (obj: string, point: number, eventfd: string, flags: string = '0') => ({ obj, point, eventfd, flags }),
  {
    text: ({ obj, point, eventfd, flags }) => `DRM_IOCTL_SYNCOBJ_EVENTFD(${obj}, ${point}, ${eventfd}, ${flags})`,
    touches: ({ obj, eventfd }) => [...onSyncobj(obj), ...(eventfd === BAD_FD ? [] : [['eventfds', eventfd] as const])],
    run: (kernel, me, { obj, point, eventfd, flags }) => {
      if (flags !== '0' && flags !== 'WAIT_AVAILABLE') returns(kernel, me, '-EINVAL');
      else if (!handleExists(kernel, obj)) returns(kernel, me, '-ENOENT');
      else if (!kernel.eventfds[eventfd]) returns(kernel, me, '-EINVAL');
      else {
        const fires = flags === '0' ? 'signaled' : 'available';
        const fence = materialised(kernel, obj, point);
        const row = syncobjRow(kernel, obj);
        if (fence === null) row.waiters = [...row.waiters, { who: eventfd, at: 0, point, fires, fence }];
        answering(kernel, me, '0', () => fence !== null && fireEventfd(kernel, me, eventfd, fires, fence));
      }
    },
  },
);
const syncobj_eventfd_fires = instruction('syncobj_eventfd_fires', (eventfd: string) => ({ eventfd }), {
  text: ({ eventfd }) => `eventfd_signal(${eventfd})`,
  touches: ({ eventfd }) => [['eventfds', eventfd]],
  run: (kernel, _me, { eventfd }) => {
    (kernel.eventfds[eventfd] as { fired: boolean }).fired = true;
  },
});

export const syncobjEventfd: KernelObject = {
  ops: [drm_syncobj_eventfd, syncobj_eventfd_fires],
  routines: { syncobj_eventfd_fires: [syncobj_eventfd_fires('$eventfd')] },
};
