// The live feed: facts with what they caused, dead letters, other games.
import { useEffect, useRef, useState } from "preact/hooks";
import type { FactWithEffects, FeedMessage } from "../answers";
import { follow, type FeedState } from "../feed";
import { moment } from "../format";
import { useSettled } from "../hooks";
import { FactItem } from "../parts/fact_item";
import { Card, Chip, Empty, Trouble } from "../parts/ui";
import { link } from "../route";

const SHOWN = 100;

const STATES: Record<FeedState, [string, string]> = {
  connecting: ["Connecting", ""],
  open: ["Following", "good"],
  waiting: ["Interrupted, trying again", "warn"],
};

interface Heard { place: number; message: FeedMessage }

export function Feed({ canSend }: { canSend: boolean }) {
  const [participant, setParticipant] = useState("");
  const [name, setName] = useState("");
  const [paused, setPaused] = useState(false);
  const [heard, setHeard] = useState<Heard[]>([]);
  const [kept, setKept] = useState<Heard[]>([]);
  const [state, setState] = useState<FeedState>("connecting");
  const [error, setError] = useState<Error | null>(null);
  const place = useRef(0);
  const participantId = useSettled(participant.trim(), 400);
  const eventName = useSettled(name.trim(), 400);
  useEffect(() => {
    const stop = new AbortController();
    let gathered: Heard[] = [];
    let drawing = 0;
    setHeard([]);
    void follow(
      { ...(participantId ? { participant_id: participantId } : {}), ...(eventName ? { event_name: eventName } : {}) },
      stop.signal,
      (message) => {
        gathered.push({ place: ++place.current, message });
        // Drawn once a frame, however many come.
        drawing ||= requestAnimationFrame(() => {
          drawing = 0;
          const fresh = gathered.reverse();
          gathered = [];
          setHeard((before) => [...fresh, ...before].slice(0, SHOWN));
        });
      },
      (next, wrong) => { setState(next); setError(wrong); },
    );
    return () => stop.abort();
  }, [participantId, eventName]);
  const shown = paused ? kept : heard;
  const [words, kind] = STATES[state];
  return (
    <Card title="Feed" class="feed" aside={<span class="row"><Chip kind={kind}>{words}</Chip><button type="button" class="small" aria-pressed={paused} onClick={() => { setKept(heard); setPaused(!paused); }}>{paused ? "Go on" : "Pause"}</button></span>}>
      <div class="fields">
        <label class="field"><span>Only participant</span><input value={participant} onInput={(event) => setParticipant(event.currentTarget.value)} autocomplete="off" spellcheck={false} /></label>
        <label class="field"><span>Only event</span><input value={name} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" spellcheck={false} /></label>
      </div>
      <Trouble error={error} />
      {shown.length === 0 && <Empty>{state === "open" ? "Nothing has come in since you opened this. " : ""}{canSend && <>Send an event from your application, or <a href={link("sandbox")}>from the sandbox</a>.</>}</Empty>}
      <ol class="timeline inner" aria-label="What happened, the newest first">{shown.map((each) => <Happened key={each.place} message={each.message} />)}</ol>
    </Card>
  );
}

function Happened({ message }: { message: FeedMessage }) {
  const at = <span class="soft">{moment(message.timestamp)}</span>;
  switch (message.type) {
    case "fact.created":
      return <FactItem fact={message.data as FactWithEffects} who />;
    case "message.dead": {
      const dead = message.data as { event_name: string; participant_id: string; reason: string };
      return <li class="trouble"><div class="between"><h3 class="event"><bdi>{dead.event_name}</bdi> <span class="soft">by</span> <bdi>{dead.participant_id}</bdi> was given up</h3>{at}</div><p class="wrong">{dead.reason}</p></li>;
    }
    case "game.changed": {
      const game = message.data as { version: number; added: string[]; changed: string[]; removed: string[] };
      return <li><div class="between"><h3 class="event">Game version {game.version} is in force</h3>{at}</div><p class="soft">{[["added", game.added], ["changed", game.changed], ["removed", game.removed]].flatMap(([word, which]) => (which!.length ? [`${(which as string[]).join(", ")} ${word as string}`] : [])).join("; ") || "No definition changed"}</p></li>;
    }
    case "environment.reset":
      return <li><div class="between"><h3 class="event">The environment was emptied</h3>{at}</div></li>;
    default:
      return <li><div class="between"><h3 class="event">{(message.data as { detail?: string }).detail ?? message.type}</h3>{at}</div></li>;
  }
}
