# From the model card of facebook/sam-vit-base (Apache-2.0).
# Changed: the import, the model by its name, and device="cpu" for machines without a GPU. The card shows the
# first part, which makes the masks, by itself.
import requests
from samari.sam import pipeline

generator = pipeline("mask-generation", model="facebook/sam-vit-huge", device="cpu", points_per_batch=256)
image_url = "https://huggingface.co/ybelkada/segment-anything/resolve/main/assets/car.png"
outputs = generator(image_url, points_per_batch=256)

import matplotlib.pyplot as plt
from PIL import Image
import numpy as np

raw_image = Image.open(requests.get(image_url, stream=True).raw).convert("RGB")


def show_mask(mask, ax, random_color=False):
    if random_color:
        color = np.concatenate([np.random.random(3), np.array([0.6])], axis=0)
    else:
        color = np.array([30 / 255, 144 / 255, 255 / 255, 0.6])
    h, w = mask.shape[-2:]
    mask_image = mask.reshape(h, w, 1) * color.reshape(1, 1, -1)
    ax.imshow(mask_image)


plt.imshow(np.array(raw_image))
ax = plt.gca()
for mask in outputs["masks"]:
    show_mask(mask, ax=ax, random_color=True)
plt.axis("off")
plt.show()
