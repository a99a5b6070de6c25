/** A photo from the camera; where the page may not see it, from the device's own camera app. */
import { useEffect, useRef, useState } from "preact/hooks";

import { add } from "../state";
import { t } from "../words/words";

export function Camera({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [refused, setRefused] = useState(false);

  useEffect(() => {
    dialog.current?.showModal();
    let stream: MediaStream | undefined;
    let closed = false;
    const open = async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({
          video: { facingMode: "environment", width: { ideal: 2048 } },
        });
        if (closed) stop();
        else if (video.current) video.current.srcObject = stream;
      } catch {
        setRefused(true); // no camera, no permission, or no secure origin
      }
    };
    const stop = () => {
      stream?.getTracks().forEach((track) => {
        track.stop();
      });
    };
    void open();
    return () => {
      closed = true;
      stop();
    };
  }, []);

  const shoot = () => {
    const source = video.current;
    if (!source?.videoWidth) return;
    const picture = document.createElement("canvas");
    picture.width = source.videoWidth;
    picture.height = source.videoHeight;
    picture.getContext("2d")?.drawImage(source, 0, 0);
    picture.toBlob(
      (blob) => {
        if (blob) add([new File([blob], "camera.jpg", { type: "image/jpeg" })]);
        onClose();
      },
      "image/jpeg",
      0.92,
    );
  };

  return (
    <dialog ref={dialog} class="camera" aria-label={t("camera")} onClose={onClose}>
      {refused ? (
        <label class="primary button">
          {t("camera")}
          <input
            class="hidden"
            type="file"
            accept="image/*"
            capture="environment"
            onChange={(event) => {
              add([...(event.currentTarget.files ?? [])]);
              onClose();
            }}
          />
        </label>
      ) : (
        <video ref={video} autoplay playsInline muted />
      )}
      <div class="row">
        {!refused && (
          <button type="button" class="primary" onClick={shoot}>
            {t("camera")}
          </button>
        )}
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </div>
    </dialog>
  );
}
