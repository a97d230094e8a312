// The live feed: facts with what they caused, dead letters, changes of the game. It begins with the last facts there were.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api";
import type { FactWithEffects, FeedMessage } from "../answers";
import { follow, type FeedState } from "../feed";
import { moment } from "../format";
import { useSettled } from "../hooks";
import { FactItem } from "../parts/fact_item";
import { Card, Chip, Empty, Trouble } from "../parts/ui";
import { link } from "../route";

const SHOWN = 100;
const BEFORE = 20;

const STATES: Record<FeedState, [string, string]> = {
  connecting: ["Connecting", ""],
  open: ["Live", "good"],
  waiting: ["Interrupted, retrying", "warn"],
};

interface Heard { place: number; message: FeedMessage }

const factOf = ({ message }: Heard): string | null => (message.type === "fact.created" ? (message.data as FactWithEffects).fact_id : null);

export function Feed({ canSend, mayRehearse, admin }: { canSend: boolean; mayRehearse: boolean; admin: boolean }) {
  const [participant, setParticipant] = useState("");
  const [name, setName] = useState("");
  const [paused, setPaused] = useState(false);
  const [heard, setHeard] = useState<Heard[]>([]);
  const [kept, setKept] = useState<Heard[]>([]);
  const [state, setState] = useState<FeedState>("connecting");
  /** Whether what was before is known: only then can there be nothing. */
  const [complete, setComplete] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const place = useRef(0);
  const participantId = useSettled(participant.trim(), 400);
  const eventName = useSettled(name.trim(), 400);
  useEffect(() => {
    const stop = new AbortController();
    const filter = { ...(participantId ? { participant_id: participantId } : {}), ...(eventName ? { event_name: eventName } : {}) };
    let gathered: Heard[] = [];
    let drawing = 0;
    let begun = false;
    setHeard([]);
    setComplete(false);
    const begin = async () => {
      begun = true;
      const { facts } = await get<{ facts: FactWithEffects[] }>("/api/v1/facts", { ...filter, include: "effects", limit: BEFORE }, stop.signal);
      const before = facts.map((data): Heard => ({ place: -++place.current, message: { type: "fact.created", timestamp: data.processed_at, data } }));
      setHeard((since) => {
        const known = new Set(since.map(factOf));
        return [...since, ...before.filter((each) => !known.has(factOf(each)))];
      });
      setComplete(true);
    };
    void follow(
      filter,
      stop.signal,
      (message) => {
        gathered.push({ place: ++place.current, message });
        // Drawn once a frame, however many come.
        drawing ||= requestAnimationFrame(() => {
          drawing = 0;
          if (stop.signal.aborted) return;
          const fresh = gathered.reverse();
          gathered = [];
          setHeard((before) => {
            const known = new Set(before.map(factOf));
            return [...fresh.filter((each) => factOf(each) === null || !known.has(factOf(each))), ...before].slice(0, SHOWN);
          });
        });
      },
      (next, wrong) => {
        setState(next);
        setError(wrong);
        // What was before is asked for once the feed is open, so that nothing falls in between.
        if (next === "open" && !begun) void begin().catch(() => {});
      },
    );
    return () => stop.abort();
  }, [participantId, eventName]);
  const shown = paused ? kept : heard;
  const missed = paused ? heard.filter((each) => each.place > Math.max(0, ...kept.map((its) => its.place))).length : 0;
  const [words, kind] = STATES[state];
  const filtered = participantId !== "" || eventName !== "";
  return (
    <Card title="Feed" class="feed" aside={<span class="row"><Chip kind={paused ? "" : kind}>{paused ? "Paused" : words}</Chip><button type="button" class="small" onClick={() => { setKept(heard); setPaused(!paused); }}>{paused ? `Resume${missed ? ` (${missed === SHOWN ? `${SHOWN}+` : missed} new)` : ""}` : "Pause"}</button></span>}>
      <div class="fields">
        <label class="field"><span>Only participant</span><input value={participant} onInput={(event) => setParticipant(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} /></label>
        <label class="field"><span>Only event</span><input value={name} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} /></label>
      </div>
      <Trouble error={error} />
      {shown.length === 0 && complete && <Empty>{filtered ? "Nothing like that yet. It appears here as soon as it comes in." : <>No events yet. They appear here as they come in{canSend && <>: <a href={link("sandbox")}>send the first one</a></>}.</>}</Empty>}
      <ol class="timeline inner" aria-label="What happened, newest first">{shown.map((each) => <Happened key={each.place} message={each.message} mayRehearse={mayRehearse} admin={admin} />)}</ol>
    </Card>
  );
}

function Happened({ message, mayRehearse, admin }: { message: FeedMessage; mayRehearse: boolean; admin: boolean }) {
  const at = <span class="soft">{moment(message.timestamp)}</span>;
  switch (message.type) {
    case "fact.created":
      return <FactItem fact={message.data as FactWithEffects} who mayRehearse={mayRehearse} />;
    case "message.dead": {
      const dead = message.data as { event_name: string; participant_id: string; reason: string };
      return <li class="trouble"><div class="between"><h3 class="event"><bdi>{dead.event_name}</bdi> <span class="soft">by</span> <bdi>{dead.participant_id}</bdi> became a dead letter</h3>{at}</div><p class="wrong">{dead.reason}</p>{admin && <p class="soft"><a href={link("operation", "dead-letters")}>Retry or drop it</a></p>}</li>;
    }
    case "game.changed": {
      const game = message.data as { version: number; added: string[]; changed: string[]; removed: string[] };
      const words = (["added", "changed", "removed"] as const).flatMap((kind) => (game[kind].length > 0 ? [`${game[kind].join(", ")} ${kind}`] : [])).join("; ");
      return <li><div class="between"><h3 class="event">Game version {game.version} applied</h3>{at}</div><p class="soft">{words || "No definition changed"}</p></li>;
    }
    case "environment.reset":
      return <li><div class="between"><h3 class="event">Environment reset</h3>{at}</div></li>;
    default:
      return <li><div class="between"><h3 class="event">{(message.data as { detail?: string }).detail ?? message.type}</h3>{at}</div></li>;
  }
}
